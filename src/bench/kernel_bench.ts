import type { Device } from '../gpu/device.ts';
import { Recorder } from '../gpu/recorder.ts';
import type { Recording } from '../gpu/recording.ts';
import { StateBuffer } from '../gpu/state_buffer.ts';
import { COUNT_NAMES } from '../gpu/tensor.ts';
import { divCeil } from '../util/arith.ts';
import { SyntheticWeights } from '../weights/synthetic.ts';
import type { KernelCase } from './kernel_cases.ts';
import { mapSpread, spreadOf, type Spread } from './statistics.ts';
import { Stopwatch, type Clock } from '../gpu/stopwatch.ts';

/** Bytes that an operation is spread over, so that no cache holds them: of a GPU, and of a processor. */
const HARDWARE_BYTES = 2 ** 29;
const SOFTWARE_BYTES = 2 ** 26;
const MOST_COPIES = 256;

/** What was measured of an operation run in one way. */
export interface KernelResult {
  readonly kernel: string;
  readonly label: string;
  /** The way it was run; absent if there is but one. */
  readonly variant?: string;
  /** Time of the operation in microseconds, all of its dispatches together. */
  readonly us: Spread;
  /** CPU time of the process in microseconds, where that can be told. */
  readonly cpuUs?: Spread;
  readonly gigabytesPerSecond: Spread;
  readonly gigaflopsPerSecond: Spread;
}

export interface KernelBenchOptions {
  readonly clock: Clock;
  /** Ways to run it: those named of those that can, or the one that would be chosen. */
  readonly variants?: readonly string[] | 'all' | undefined;
  /** Times each way is measured, in turn with the others. */
  readonly repetitions: number;
  /** Least time of one measurement in milliseconds. */
  readonly leastMs: number;
  /** Memory that a software adapter can have, where it is known. */
  readonly availableBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Measures one operation, its variants in turn: A B A B.
 *
 * @returns a result for each variant
 * @throws {ShapeError} if a variant named cannot run the operation
 * @throws {OutOfMemoryError} if the GPU cannot hold it
 */
export async function benchKernel(
  device: Device,
  kernelCase: KernelCase,
  options: KernelBenchOptions,
): Promise<readonly KernelResult[]> {
  const { clock, repetitions, leastMs, availableBytes = Infinity, signal } = options;
  const { work, ownBytes } = kernelCase;
  const target = device.facts.isSoftware ? SOFTWARE_BYTES : HARDWARE_BYTES;
  const copies = Math.min(Math.max(1, divCeil(target, ownBytes)), MOST_COPIES);
  const memory = new SyntheticWeights(device, {
    form: kernelCase.form ?? 'f32',
    mostBytes: device.facts.isSoftware ? availableBytes : Infinity,
  });
  const records = Array.from({ length: copies }, () => kernelCase.allocate(memory));
  await memory.fill(`${kernelCase.kernel} ${kernelCase.label}`);
  const state = new StateBuffer(device, { counts: { dtype: 'u32', shape: [8] } });
  const { counts } = state.regions;
  counts.words.set(COUNT_NAMES.map((name) => work.counts[name]));
  state.upload('counts', counts.words.length);

  const ways: { variant: string | undefined; recording: Recording }[] = [];
  for (const variant of variantsOf(device, kernelCase, options)) {
    const recorder = new Recorder(device, counts.tensor);
    for (const record of records) record(recorder, variant);
    ways.push({ variant, recording: await recorder.finish() });
  }
  const watch = await Stopwatch.create(device, clock);
  try {
    const runs = ways.map(() => ({ used: 1, us: [] as number[], cpuUs: [] as number[] }));
    for (let i = -1; i < repetitions; i += 1) {
      for (const [way, { recording }] of ways.entries()) {
        signal?.throwIfAborted();
        const run = runs[way];
        if (run === undefined) continue;
        const perCopy = recording.dispatches.length / copies;
        const dispatches = recording.dispatches.slice(0, run.used * perCopy);
        if (i < 0) {
          // Warms up. What takes long by itself need not go through all the memory.
          await watch.time(dispatches, work.counts, 1);
          const { ms } = await watch.time(dispatches, work.counts, 1);
          run.used = Math.min(copies, Math.ceil(leastMs / ms));
          continue;
        }
        const { ms, cpuMs } = await watch.perTime(dispatches, work.counts, leastMs);
        run.us.push((ms * 1000) / run.used);
        if (cpuMs !== undefined) run.cpuUs.push((cpuMs * 1000) / run.used);
      }
    }
    return ways.map(({ variant, recording }, way) => {
      const { us: times = [], cpuUs = [] } = runs[way] ?? {};
      const costs = recording.dispatches.map(({ cost }) => cost(work));
      const bytes = costs.reduce((sum, cost) => sum + cost.bytes, 0) / copies;
      const flops = costs.reduce((sum, cost) => sum + cost.flops, 0) / copies;
      const us = spreadOf(times);
      return {
        kernel: kernelCase.kernel,
        label: kernelCase.label,
        ...(variant !== undefined && { variant }),
        us,
        ...(cpuUs.length > 0 && { cpuUs: spreadOf(cpuUs) }),
        gigabytesPerSecond: mapSpread(us, (time) => bytes / time / 1e3),
        gigaflopsPerSecond: mapSpread(us, (time) => flops / time / 1e3),
      };
    });
  } finally {
    watch.dispose();
    state.dispose();
    memory.dispose();
  }
}

function variantsOf(
  device: Device,
  { variants }: KernelCase,
  { variants: asked }: KernelBenchOptions,
): readonly (string | undefined)[] {
  const all = variants(device.facts);
  if (asked === 'all') return all.length > 0 ? all : [undefined];
  if (asked === undefined) return [all[0]];
  return all.length > 0 ? asked.filter((name) => all.includes(name)) : [undefined];
}
