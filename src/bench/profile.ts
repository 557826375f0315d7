import type { Work } from '../gpu/cost.ts';
import type { Device } from '../gpu/device.ts';
import { isRun, type Dispatch, type Recording } from '../gpu/recording.ts';
import type { Peaks } from './peaks.ts';
import { spreadOf, type Spread } from './statistics.ts';
import { Stopwatch, type Clock } from '../gpu/stopwatch.ts';

/** All dispatches of a step that run one kernel in one form: the same work in every layer. */
export interface KernelProfile {
  /** The kernel's name, and the form of the call if there are several. */
  readonly name: string;
  readonly label: string;
  readonly dispatches: number;
  /** Time of all of them in a step, in milliseconds. */
  readonly ms: Spread;
  /** Of the sum of all kernels. */
  readonly share: number;
  /** Bytes they need and operations they make at the least, in a step. */
  readonly bytes: number;
  readonly flops: number;
  /** 0 where the clock is too coarse to tell. */
  readonly gigabytesPerSecond: number;
  readonly gigaflopsPerSecond: number;
  /** Of the measured streaming bandwidth and of the measured f32 arithmetic, 0 to 1 and more where caches help. */
  readonly ofBandwidth?: number;
  readonly ofArithmetic?: number;
}

/** Where the time of a step goes. */
export interface ProfileReport {
  /** Those that take longest first. */
  readonly kernels: readonly KernelProfile[];
  readonly dispatches: number;
  /** Sum over the kernels, each measured by itself, in milliseconds. */
  readonly kernelsMs: number;
  /** The whole step at once, without waiting for its result; less than the sum where dispatches overlap. */
  readonly stepMs: Spread;
}

export interface ProfileOptions {
  readonly clock: Clock;
  readonly repetitions: number;
  /** Least time of one measurement in milliseconds. */
  readonly leastMs: number;
  readonly peaks?: Peaks | null | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Measures each kernel of a recorded step by itself, repeated in a pass of its own, with the step's numbers as they are
 * in step state. Nothing that the step computes means anything afterwards, neither scratch memory nor what it updates:
 * cache pages, token histories and last tokens. Only for models that are loaded to be measured.
 *
 * @param recording - of which a step with these counts was the last that was run
 */
export async function profileRecording(
  device: Device,
  recording: Recording,
  work: Work,
  { clock, repetitions, leastMs, peaks, signal }: ProfileOptions,
): Promise<ProfileReport> {
  const run = recording.dispatches.filter((dispatch) => isRun(dispatch, work.counts));
  const groups = groupBy(run, ({ name, label }) => `${name} ${label}`);
  const watch = await Stopwatch.create(device, clock);
  const measure = async (dispatches: readonly Dispatch[]): Promise<Spread> => {
    const runs: number[] = [];
    for (let i = -1; i < repetitions; i += 1) {
      signal?.throwIfAborted();
      const { ms } = await watch.perTime(dispatches, work.counts, i < 0 ? 0 : leastMs);
      if (i >= 0) runs.push(ms);
    }
    return spreadOf(runs);
  };
  try {
    const stepMs = await measure(run);
    const measured: { group: readonly Dispatch[]; ms: Spread }[] = [];
    for (const group of groups) measured.push({ group, ms: await measure(group) });
    const kernelsMs = measured.reduce((sum, { ms }) => sum + ms.median, 0);
    const kernels = measured.map(({ group, ms }) => describe(group, ms, work, kernelsMs, peaks));
    return {
      kernels: kernels.toSorted((a, b) => b.share - a.share),
      dispatches: run.length,
      kernelsMs,
      stepMs,
    };
  } finally {
    watch.dispose();
  }
}

/** Lists of what has the same key, in order of the first of each. */
function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): readonly (readonly T[])[] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

function describe(
  group: readonly Dispatch[],
  ms: Spread,
  work: Work,
  kernelsMs: number,
  peaks: Peaks | null | undefined,
): KernelProfile {
  const costs = group.map(({ cost }) => cost(work));
  const bytes = costs.reduce((sum, cost) => sum + cost.bytes, 0);
  const flops = costs.reduce((sum, cost) => sum + cost.flops, 0);
  // Of what a coarse clock sees no time in, nothing can be told.
  const rate = (amount: number): number => (ms.median > 0 ? amount / ms.median / 1e6 : 0);
  const [gigabytesPerSecond, gigaflopsPerSecond] = [rate(bytes), rate(flops)];
  const [{ name, label } = { name: '', label: '' }] = group;
  return {
    name,
    label,
    dispatches: group.length,
    ms,
    share: kernelsMs > 0 ? ms.median / kernelsMs : 0,
    bytes,
    flops,
    gigabytesPerSecond,
    gigaflopsPerSecond,
    ...(peaks && {
      ofBandwidth: gigabytesPerSecond / peaks.readGigabytesPerSecond.median,
      ofArithmetic: gigaflopsPerSecond / peaks.f32GigaflopsPerSecond.median,
    }),
  };
}
