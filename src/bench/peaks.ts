import type { Device } from '../gpu/device.ts';
import { workDone } from '../gpu/prompt.ts';
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

/** How ceilings are measured. */
export interface PeakOptions {
  /** Measurements of each, after one that warms up; default 5. */
  readonly repetitions?: number;
  /** Least time of one measurement, default 50. */
  readonly leastMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Measures the ceilings of a device in a few seconds.
 *
 * @throws {OutOfMemoryError} if there is no memory for the buffer that is read
 * @throws `signal.reason` when aborted
 */
export async function measurePeaks(
  device: Device,
  clock: Clock,
  options: PeakOptions = {},
): Promise<Peaks> {
  const rates = await RateBench.create(device, clock, options);
  try {
    return {
      readGigabytesPerSecond: await rates.read(),
      readBytes: rates.readBytes,
      f32GigaflopsPerSecond: await rates.multiply('f32'),
      ...(device.facts.hasF16 && { f16GigaflopsPerSecond: await rates.multiply('f16') }),
      ...(await rates.dispatch(options.repetitions)),
      roundTripUs: await rates.roundTrip(),
    };
  } finally {
    rates.dispose();
  }
}

/** What of the ceilings shows that a device has become slower. Errors as of {@link measurePeaks}. */
export async function measureRates(
  device: Device,
  clock: Clock,
  options: PeakOptions = {},
): Promise<Pick<Peaks, 'readGigabytesPerSecond' | 'f32GigaflopsPerSecond'>> {
  const rates = await RateBench.create(device, clock, options);
  try {
    return {
      readGigabytesPerSecond: await rates.read(),
      f32GigaflopsPerSecond: await rates.multiply('f32'),
    };
  } finally {
    rates.dispose();
  }
}

/** Measures the ceilings one by one; holds what they have in common. */
class RateBench {
  readonly #device: Device;
  readonly #clock: Clock;
  readonly #options: PeakOptions;
  readonly #plan: typeof HARDWARE;
  readonly #state: StateBuffer<'counts' | 'plan' | 'out'>;
  readonly #watch: Stopwatch;

  private constructor(device: Device, clock: Clock, options: PeakOptions, watch: Stopwatch) {
    this.#device = device;
    this.#clock = clock;
    this.#options = options;
    this.#watch = watch;
    this.#plan = device.facts.isSoftware ? SOFTWARE : HARDWARE;
    this.#state = new StateBuffer(device, {
      counts: { dtype: 'u32', shape: [COUNT_NAMES.length] },
      plan: { dtype: 'u32', shape: [4] },
      out: { dtype: 'u32', shape: [4] },
    });
    const { plan } = this.#state.regions;
    plan.words[0] = this.#plan.fmaRounds;
    plan.floats[1] = 0.999;
    plan.floats[2] = 0.001;
    this.#state.upload('out', 0);
  }

  static async create(device: Device, clock: Clock, options: PeakOptions): Promise<RateBench> {
    return new RateBench(device, clock, options, await Stopwatch.create(device, clock));
  }

  /** Bytes that {@link read} reads. */
  get readBytes(): number {
    const { readBytes, readThreads } = this.#plan;
    const whole = 64 * readThreads;
    const most = Math.min(readBytes, this.#device.facts.limits.maxStorageBufferBindingSize);
    return Math.floor(most / whole) * whole;
  }

  /** In GB/s. */
  async read(): Promise<Spread> {
    const memory = new SyntheticWeights(this.#device, { form: 'f32' });
    try {
      const data = memory.random('bandwidth', 'f32', [this.readBytes / 4]);
      await memory.fill();
      return await this.#rate(this.readBytes / 1e6, (recorder) =>
        measureRead(recorder, data, this.#plan.readThreads),
      );
    } finally {
      memory.dispose();
    }
  }

  /** In GFLOP/s. */
  multiply(type: 'f32' | 'f16'): Promise<Spread> {
    const size = { type, rounds: this.#plan.fmaRounds, threads: this.#plan.fmaThreads };
    const { plan } = this.#state.regions;
    return this.#rate(fmaFlops(size) / 1e6, (recorder) => measureFma(recorder, plan.tensor, size));
  }

  async dispatch(repetitions = 5): Promise<Pick<Peaks, 'dispatchUs' | 'encodeUs'>> {
    const { out } = this.#state.regions;
    const empty = await this.#record((recorder) => {
      for (let i = 0; i < DISPATCHES; i += 1) measureEmpty(recorder, firstWord(out.tensor));
    });
    return timeDispatches(this.#device, empty, this.#clock, repetitions);
  }

  roundTrip(): Promise<Spread> {
    return timeRoundTrips(this.#device, this.#state.regions.out.tensor, this.#clock);
  }

  dispose(): void {
    this.#watch.dispose();
    this.#state.dispose();
  }

  #record(use: (recorder: Recorder) => void): Promise<Recording> {
    const recorder = new Recorder(this.#device, this.#state.regions.counts.tensor);
    use(recorder);
    return recorder.finish();
  }

  /** Work per millisecond. */
  async #rate(work: number, use: (recorder: Recorder) => void): Promise<Spread> {
    const { repetitions = 5, leastMs = 50, signal } = this.#options;
    const { dispatches } = await this.#record(use);
    const runs: number[] = [];
    for (let i = -1; i < repetitions; i += 1) {
      signal?.throwIfAborted();
      const { ms } = await this.#watch.perTime(dispatches, NO_COUNTS, leastMs);
      if (i >= 0) runs.push(work / ms);
    }
    return spreadOf(runs);
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
    await workDone(device.gpu.queue);
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
