/** Numbers and facts as sentences. @module */
import type { EngineStats, Usage } from 'quern';
import type { Keeping, Progress, Reply } from './state/types.ts';

/** `10.8 MB` */
export function formatBytes(bytes: number): string {
  for (const [unit, size] of [
    ['GB', 1e9],
    ['MB', 1e6],
    ['kB', 1e3],
  ] as const) {
    if (bytes >= size) return `${(bytes / size).toFixed(1)} ${unit}`;
  }
  return `${bytes} bytes`;
}

/** `5.4 million` */
export function formatCount(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)} billion`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)} million`;
  return count.toLocaleString('en');
}

/** `85 ms`, `1.4 s` */
export function formatDuration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** `8 s`, `3 min`, `1.5 h` */
export function formatWait(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** What is being loaded, how far it is, how fast, and how long it takes. */
export function describeProgress(progress: Progress): string {
  const { phase, file, loadedBytes, totalBytes, bytesPerSecond, secondsLeft } = progress;
  switch (phase) {
    case 'files':
      return 'Reading configuration and tokenizer';
    case 'weights': {
      const percent = totalBytes > 0 ? Math.floor((100 * loadedBytes) / totalBytes) : 100;
      // A file of a server is named by its whole address.
      const name = file?.slice(file.lastIndexOf('/') + 1) ?? 'weights';
      return [
        `Loading ${name}: ${formatBytes(loadedBytes)} of ${formatBytes(totalBytes)} (${percent} %)`,
        ...(bytesPerSecond === undefined ? [] : [`${formatBytes(Math.round(bytesPerSecond))}/s`]),
        ...(secondsLeft === undefined ? [] : [`${formatWait(secondsLeft)} left`]),
      ].join(' · ');
    }
    case 'compile':
      return 'Compiling shaders';
    case 'ready':
      return 'Ready';
  }
}

/** What the user should know before the first message: one sentence per shortcoming. */
export function describeLimits({ model, adapter }: EngineStats): readonly string[] {
  const limits: string[] = [];
  if (adapter.isSoftware) {
    limits.push(
      `No graphics processor is in use: the model runs on the CPU (${adapterName(adapter)}), which is slow.`,
    );
  }
  if (!model.hasChatTemplate) {
    limits.push(
      'This model has no chat template: it continues texts, and was not made for conversations.',
    );
  }
  return limits;
}

/** The line below a reply that is no longer written. */
export function describeReply({ ending, usage, isShortened }: Reply): string {
  if (ending === undefined) {
    return 'Not finished: the page was closed, or another tab still writes it.';
  }
  switch (ending) {
    case 'stopped':
      return 'Stopped.';
    case 'failed':
      return 'Broken off by an error.';
    case 'complete':
    case 'cut':
      return [
        ...(ending === 'cut' ? ['cut off: as long as a reply may be here'] : []),
        ...(usage ? describeUsage(usage) : []),
        ...(isShortened === true ? ['the oldest messages no longer fit and were left out'] : []),
      ].join(' · ');
  }
}

/** What the user should know about where the conversations are kept; nothing where all is well. */
export function describeKeeping(keeping: Keeping): string | undefined {
  if (keeping.kind !== 'memory') return undefined;
  const until = 'Conversations are kept only until this page is closed';
  switch (keeping.why) {
    case 'missing':
      return `${until}: the browser gives it no storage, as in some private windows. Export what you want to keep.`;
    case 'full':
      return `${until}: the browser’s storage is full. Delete old conversations, or export what you want to keep.`;
    case 'outdated':
      return `${until}: a newer version of the page is open in another tab. Reload this one.`;
    case 'blocked':
      return `${until}: an older version of the page is open in another tab. Close that one.`;
    case 'broken':
      return `${until}: the browser’s storage failed. Export what you want to keep.`;
  }
}

function describeUsage(usage: Usage): readonly string[] {
  const { completion_tokens: tokens, prompt_tokens: asked, timings } = usage;
  const rate = timings.decode_tokens_per_second;
  const cached = usage.prompt_tokens_details.cached_tokens;
  return [
    `${tokens} ${tokens === 1 ? 'token' : 'tokens'}`,
    ...(rate > 0 ? [`${rate.toFixed(rate < 10 ? 1 : 0)} tokens/s`] : []),
    `first token after ${formatDuration(timings.time_to_first_token_ms)}`,
    ...(cached > 0 ? [`${cached} of ${asked} prompt tokens cached`] : []),
  ];
}

/** What the adapter calls itself. */
export function adapterName(
  adapter: Pick<EngineStats['adapter'], 'description' | 'vendor' | 'architecture'>,
): string {
  const { description, vendor, architecture } = adapter;
  if (description !== '') return description;
  return [vendor, architecture].filter((word) => word !== '').join(' ') || 'an unnamed GPU';
}
