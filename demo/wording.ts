/** Numbers and facts as sentences. @module */
import type { EngineStats, LoadProgress, Usage } from 'quern';
import type { Ending } from './session.ts';

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

/** What is being loaded, and how far it is. */
export function describeProgress(progress: LoadProgress): string {
  const { phase, file, loadedBytes, totalBytes } = progress;
  switch (phase) {
    case 'files':
      return 'Reading configuration and tokenizer';
    case 'weights': {
      const percent = totalBytes > 0 ? Math.floor((100 * loadedBytes) / totalBytes) : 100;
      // A file of a server is named by its whole address.
      const name = file?.slice(file.lastIndexOf('/') + 1) ?? 'weights';
      return `Loading ${name}: ${formatBytes(loadedBytes)} of ${formatBytes(totalBytes)} (${percent} %)`;
    }
    case 'compile':
      return 'Compiling shaders';
    case 'ready':
      return 'Ready';
  }
}

/** The model and where it runs, in one line. */
export function describeModel(name: string, { model, adapter }: EngineStats): string {
  return [
    name,
    `${formatCount(model.parameters)} parameters`,
    `context of ${model.contextLength} tokens`,
    `on ${adapterName(adapter)}`,
  ].join(' · ');
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

/** The line below a reply. */
export function describeEnding(ending: Ending): string {
  switch (ending.kind) {
    case 'stopped':
      return 'Stopped.';
    case 'failed':
      return 'Broken off by an error.';
    case 'complete':
      return [
        ...(ending.isCut ? ['cut off: as long as this model lets a reply be'] : []),
        ...(ending.usage ? describeUsage(ending.usage) : []),
        ...(ending.isShortened ? ['the oldest messages no longer fit and were left out'] : []),
      ].join(' · ');
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
    `${cached} of ${asked} prompt tokens cached`,
  ];
}

function adapterName(adapter: EngineStats['adapter']): string {
  const { description, vendor, architecture } = adapter;
  if (description !== '') return description;
  return [vendor, architecture].filter((word) => word !== '').join(' ') || 'an unnamed GPU';
}
