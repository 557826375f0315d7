import type { Device } from '../gpu/device.ts';
import { ReadbackRing } from '../gpu/readback.ts';
import { Recorder } from '../gpu/recorder.ts';
import type { Recording } from '../gpu/recording.ts';
import { StateBuffer } from '../gpu/state_buffer.ts';
import { COUNT_NAMES, NO_COUNTS, type DeviceTensor } from '../gpu/tensor.ts';
import { fmaFlops, measureEmpty, measureFma, measureRead } from '../kernels/measure.ts';
import { SyntheticWeights } from '../weights/synthetic.ts';
import { spreadOf, type Spread } from './statistics.ts';
import { Stopwatch, type Clock } from '../gpu/stopwatch.ts';

/** What a device does at most, as measured on it: the ceilings that everything else is held against. */
export interface Peaks {
  /** Of a buffer that no cache holds, read once in 16-byte loads. */
  readonly readGigabytesPerSecond: Spread;
  /** Bytes of that buffer. */
  readonly readBytes: number;
  /** Multiplications and additions in registers, two operations each. */
  readonly f32GigaflopsPerSecond: Spread;
  /** The same in f16, where there is f16 arithmetic. */
  readonly f16GigaflopsPerSecond?: Spread;
  /** GPU time of a dispatch that does next to nothing and needs the one before, in microseconds. */
  readonly dispatchUs: Spread;
  /** Time in this thread to encode such a dispatch and submit it among others, in microseconds. */
  readonly encodeUs: Spread;
  /** From the submit of an empty dispatch until its result is here, in microseconds. */
  readonly roundTripUs: Spread;
}

/** What is measured with; a processor has smaller caches and fewer threads. */
const HARDWARE = { readBytes: 2 ** 29, readThreads: 2 ** 17, fmaThreads: 2 ** 18, fmaRounds: 512 };
const SOFTWARE = { readBytes: 2 ** 27, readThreads: 2 ** 12, fmaThreads: 2 ** 12, fmaRounds: 128 };
const DISPATCHES = 1000;
const ROUND_TRIPS = 20;

/**
 * Measures the ceilings of a device in a few seconds.
 *
 * @param repetitions - measurements of each, after one that warms up
 * @throws {OutOfMemoryError} if there is no memory for the buffer that is read
 * @throws `signal.reason` when aborted
 */
export async function measurePeaks(
  device: Device,
  clock: Clock,
  options: {
    readonly repetitions?: number;
    readonly leastMs?: number;
    readonly signal?: AbortSignal | undefined;
  } = {},
): Promise<Peaks> {
  const { repetitions = 5, leastMs = 50, signal } = options;
  const plan = device.facts.isSoftware ? SOFTWARE : HARDWARE;
  const { maxStorageBufferBindingSize } = device.facts.limits;
  const whole = 64 * plan.readThreads;
  const most = Math.min(plan.readBytes, maxStorageBufferBindingSize);
  const readBytes = Math.floor(most / whole) * whole;

  const state = new StateBuffer(device, {
    counts: { dtype: 'u32', shape: [COUNT_NAMES.length] },
    plan: { dtype: 'u32', shape: [4] },
    out: { dtype: 'u32', shape: [4] },
  });
  const { counts, plan: fma, out } = state.regions;
  fma.words[0] = plan.fmaRounds;
  fma.floats[1] = 0.999;
  fma.floats[2] = 0.001;
  state.upload('out', 0);
  const memory = new SyntheticWeights(device, { form: 'f32' });
  const watch = await Stopwatch.create(device, clock);
  const record = (use: (recorder: Recorder) => void): Promise<Recording> => {
    const recorder = new Recorder(device, counts.tensor);
    use(recorder);
    return recorder.finish();
  };
  /** Work per millisecond. */
  const rate = async (work: number, use: (recorder: Recorder) => void): Promise<Spread> => {
    const { dispatches } = await record(use);
    const runs: number[] = [];
    for (let i = -1; i < repetitions; i += 1) {
      signal?.throwIfAborted();
      const { ms } = await watch.perTime(dispatches, NO_COUNTS, leastMs);
      if (i >= 0) runs.push(work / ms);
    }
    return spreadOf(runs);
  };
  const fmaRate = (type: 'f32' | 'f16'): Promise<Spread> => {
    const size = { type, rounds: plan.fmaRounds, threads: plan.fmaThreads };
    return rate(fmaFlops(size) / 1e6, (recorder) => measureFma(recorder, fma.tensor, size));
  };

  try {
    const data = memory.random('bandwidth', 'f32', [readBytes / 4]);
    await memory.fill();
    const readGigabytesPerSecond = await rate(readBytes / 1e6, (recorder) =>
      measureRead(recorder, data, plan.readThreads),
    );
    memory.dispose();
    const f32GigaflopsPerSecond = await fmaRate('f32');
    const f16 = device.facts.hasF16 && { f16GigaflopsPerSecond: await fmaRate('f16') };
    const empty = await record((recorder) => {
      for (let i = 0; i < DISPATCHES; i += 1) measureEmpty(recorder, firstWord(out.tensor));
    });
    const { dispatchUs, encodeUs } = await timeDispatches(device, empty, clock, repetitions);
    return {
      readGigabytesPerSecond,
      readBytes,
      f32GigaflopsPerSecond,
      ...f16,
      dispatchUs,
      encodeUs,
      roundTripUs: await timeRoundTrips(device, out.tensor, clock),
    };
  } finally {
    watch.dispose();
    memory.dispose();
    state.dispose();
  }
}

/** Times of one dispatch among many in a pass: in this thread, and until it is done. */
async function timeDispatches(
  device: Device,
  recording: Recording,
  clock: Clock,
  repetitions: number,
): Promise<Pick<Peaks, 'dispatchUs' | 'encodeUs'>> {
  const [encodes, dones]: [number[], number[]] = [[], []];
  const each = 1000 / recording.dispatches.length;
  for (let i = -1; i < repetitions; i += 1) {
    const begin = clock.now();
    const encoder = device.gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    recording.replay(pass, NO_COUNTS);
    pass.end();
    device.gpu.queue.submit([encoder.finish()]);
    const submitted = clock.now();
    await device.gpu.queue.onSubmittedWorkDone();
    if (i < 0) continue;
    encodes.push((submitted - begin) * each);
    dones.push((clock.now() - submitted) * each);
  }
  return { encodeUs: spreadOf(encodes), dispatchUs: spreadOf(dones) };
}

/** Microseconds from a submit until a word that it copies can be read. */
async function timeRoundTrips(
  device: Device,
  { memory }: DeviceTensor,
  clock: Clock,
): Promise<Spread> {
  const ring = new ReadbackRing(device, 1, 4);
  const runs: number[] = [];
  for (let i = -1; i < ROUND_TRIPS && memory.kind === 'buffer'; i += 1) {
    const begin = clock.now();
    const encoder = device.gpu.createCommandEncoder();
    const read = ring.copy(encoder, { buffer: memory.buffer, offset: memory.offset, size: 4 });
    device.gpu.queue.submit([encoder.finish()]);
    await read(() => undefined);
    if (i >= 0) runs.push((clock.now() - begin) * 1000);
  }
  ring.dispose();
  return spreadOf(runs);
}

function firstWord(tensor: DeviceTensor): DeviceTensor {
  return { ...tensor, shape: [1], sizeBytes: 4 };
}
