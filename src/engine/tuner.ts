/** Which of several kernels is the fastest on an adapter, found by trying. @module */
import { recallTuning, rememberTuning } from '../gpu/adapter_record.ts';
import type { Device } from '../gpu/device.ts';
import { shaderHash } from '../gpu/kernel.ts';
import { readBuffer } from '../gpu/readback.ts';
import { Recorder, type Decision, type Rehearsed, type StateNumbers } from '../gpu/recorder.ts';
import type { Recording } from '../gpu/recording.ts';
import { ScratchPool } from '../gpu/scratch.ts';
import { StateBuffer } from '../gpu/state_buffer.ts';
import { Stopwatch } from '../gpu/stopwatch.ts';
import {
  COUNT_NAMES,
  NO_COUNTS,
  type Counts,
  type DeviceTensor,
  type DType,
  type Tensor,
} from '../gpu/tensor.ts';
import { DeviceLimitError, RequestError, ShaderError } from '../util/errors.ts';
import { describeValue, mapValues } from '../util/objects.ts';
import type { TuningReport } from './api.ts';

const MODES = ['auto', 'always', 'never'] as const;

export interface TunerOptions {
  readonly mode: (typeof MODES)[number];
  /** Monotonic clock in milliseconds; default `performance.now`. */
  readonly now?: () => number;
  /** Time after which nothing more is tried, in milliseconds; the rest is left as it would be unmeasured. */
  readonly budgetMs?: number;
}

/** A candidate is repeated until it has run for so long, in milliseconds, and that so often. Clocks of GPUs tick in tenths. */
const LEAST_MS = 4;
const ROUNDS = 3;
/** What a measurement reads before it reads the same again, in bytes: more than most caches hold. */
const ROTATED_BYTES = 64 * 2 ** 20;
/** Results are compared as far as this, in bytes. */
const COMPARED_BYTES = 256 * 1024;
/** Largest difference from the first candidate, relative to its largest value; 8-bit arithmetic stays well below. */
const TOLERANCE = 0.02;
/** What is not at least so much faster is not worth another kernel. */
const WORTHWHILE = 0.97;
/** What candidates are given: in [-1, 1], and with a prime period, so that rows differ. */
const WAVE = Float32Array.from({ length: 8191 }, (_, i) => Math.sin(i * 0.7));
/**
 * Bits of the wave that are kept for operands of other types, and that are set, so that all numbers are moderate. f16: in
 * ±[¼, ½). u32, bytes with scales: bytes of either sign, which as f32 are in ±[2⁻⁹, 2⁻⁸).
 */
const NUMBER_BITS: Partial<Record<DType, readonly [kept: number, set: number]>> = {
  f16: [0x83ff83ff, 0x34003400],
  u32: [0x807fffff, 0x3b000000],
};

/** A candidate that is ready to run. */
interface Rehearsal extends Rehearsed {
  readonly name: string;
  readonly recording: Recording;
}

/**
 * Measures the kernels that recorders on a device have chosen among, with the model's own sizes and weights, and has the
 * device use the fastest. What was found is kept per adapter, browser and shader texts.
 */
export class Tuner {
  readonly #mode: TunerOptions['mode'];
  readonly #now: () => number;
  readonly #budgetMs: number;
  #report: TuningReport = { status: 'skipped', chosen: {}, elapsedMs: 0 };

  /** @throws {RequestError} if the mode is unknown */
  constructor({ mode, now = () => performance.now(), budgetMs = 2000 }: TunerOptions) {
    if (!MODES.includes(mode)) {
      throw new RequestError(
        `load: tune is ${describeValue(mode)}, expected one of: ${MODES.join(', ')}`,
        { param: 'tune' },
      );
    }
    this.#mode = mode;
    this.#now = now;
    this.#budgetMs = budgetMs;
  }

  /** Of the latest device. */
  get report(): TuningReport {
    return this.#report;
  }

  /** Has a device that nothing was recorded on use what is known of its adapter. Never rejects. */
  async recall(device: Device): Promise<void> {
    if (!this.#isActive(device) || this.#mode === 'always') return;
    const known = await recallTuning(device.facts, shaderHash());
    device.tune(known);
  }

  /**
   * Measures what was recorded on the device and is not known yet, the costliest first, until the time is up.
   *
   * @returns whether anything is to be recorded anew
   * @throws {QuernError} if the device has failed
   */
  async run(device: Device, signal?: AbortSignal): Promise<boolean> {
    if (!this.#isActive(device)) return false;
    const startMs = this.#now();
    const isInTime = (): boolean =>
      this.#now() - startMs < this.#budgetMs && signal?.aborted !== true;
    const due = [...device.decisions]
      .filter(([key, { candidates }]) => candidates.length > 1 && !device.facts.tuned.has(key))
      .toSorted(([, a], [, b]) => b.cost - a.cost);
    const found = new Map<string, string>();
    const measured = new Map(Object.entries(this.#report.measuredMs ?? {}));
    if (due.length > 0) {
      const stopwatch = await Stopwatch.create(device, { now: this.#now });
      try {
        for (const [key, decision] of due) {
          if (!isInTime()) break;
          const times = await measure(device, stopwatch, decision, isInTime);
          const fastest = times && fastestOf(times);
          if (times === undefined || fastest === undefined) continue;
          found.set(key, fastest);
          measured.set(key, times);
        }
      } finally {
        stopwatch.dispose();
      }
    }
    signal?.throwIfAborted();
    const isChanged = [...found].some(
      ([key, name]) => device.decisions.get(key)?.candidates[0] !== name,
    );
    device.tune(found);
    const { tuned } = device.facts;
    if (found.size > 0) {
      // What was found for other models is kept, also where it was not looked at.
      const known = await recallTuning(device.facts, shaderHash());
      await rememberTuning(device.facts, shaderHash(), new Map([...known, ...tuned]));
    }
    this.#report = {
      status: found.size === due.length ? 'complete' : 'partial',
      chosen: Object.fromEntries(tuned),
      ...(measured.size > 0 && { measuredMs: Object.fromEntries(measured) }),
      elapsedMs: this.#report.elapsedMs + this.#now() - startMs,
    };
    return isChanged;
  }

  /** Software adapters take longer to compile what is tried than is won by it. */
  #isActive({ facts }: Device): boolean {
    return this.#mode === 'always' || (this.#mode === 'auto' && !facts.isSoftware);
  }
}

/** Memory of rehearsals, freed when they have been measured. */
class Stage {
  readonly counts: StateBuffer<'counts'>;
  readonly #device: Device;
  readonly #scratch: ScratchPool;
  readonly #held: StateBuffer<string>[] = [];

  constructor(device: Device) {
    this.#device = device;
    this.#scratch = new ScratchPool(device);
    this.counts = new StateBuffer(device, {
      counts: { dtype: 'u32', shape: [COUNT_NAMES.length] },
    });
  }

  /**
   * Records a decision in one of its ways, so often that it reads `ROTATED_BYTES`.
   *
   * @returns undefined if it cannot be done here
   */
  async prepare({ bytes, rehearsals }: Decision, name: string): Promise<Rehearsal | undefined> {
    const recorder = new Recorder(this.#device, this.counts.regions.counts.tensor);
    try {
      const times = Math.max(1, Math.ceil(ROTATED_BYTES / bytes));
      // The other layers' weights and keys push this one's out of the caches, as in a step.
      const all = rehearsals
        .slice(0, times)
        .map((rehearse) => rehearse(recorder, name, (numbers) => this.#hold(numbers)));
      const [first] = all;
      if (first === undefined) return undefined;
      for (const [i, input] of first.inputs.entries()) recorder.keep(`${i}`, input);
      recorder.keep('output', first.output);
      for (const [i, { own = [] }] of all.entries()) {
        for (const [j, input] of own.entries()) recorder.keep(`${j} of time ${i}`, input);
      }
      return { name, ...first, recording: await recorder.finish(this.#scratch) };
    } catch (error) {
      // What this driver does not compile, or has no room for, is none of the ways here.
      if (error instanceof ShaderError || error instanceof DeviceLimitError) return undefined;
      throw error;
    }
  }

  #hold<K extends string>(
    numbers: Readonly<Record<K, StateNumbers>>,
  ): Readonly<Record<K, DeviceTensor>> {
    const fields = mapValues(numbers, ({ shape }) => ({ dtype: 'u32', shape }) as const);
    const state = new StateBuffer<K>(this.#device, fields);
    this.#held.push(state);
    const tensors = mapValues(state.regions, ({ words, tensor }, name) => {
      words.set(numbers[name].words);
      return tensor;
    });
    state.uploadAll();
    return tensors;
  }

  dispose(): void {
    for (const state of [this.counts, ...this.#held]) state.dispose();
    this.#scratch.dispose();
  }
}

/** Milliseconds of the candidates that give what the first gives, by name; undefined if the time is up before. */
async function measure(
  device: Device,
  stopwatch: Stopwatch,
  decision: Decision,
  isInTime: () => boolean,
): Promise<Readonly<Record<string, number>> | undefined> {
  const stage = new Stage(device);
  try {
    // All at once, since compiling is most of the work.
    const prepared = await Promise.all(
      decision.candidates.map((name) => stage.prepare(decision, name)),
    );
    const rehearsals = prepared.filter((rehearsal) => rehearsal !== undefined);
    const [first] = rehearsals;
    if (first === undefined) return undefined;
    const { output, counts = fullCounts(output) } = first;
    stage.counts.regions.counts.words.set(COUNT_NAMES.map((count) => counts[count]));
    stage.counts.uploadAll();
    const inputs = first.inputs.map(numbersFor);

    const times = new Map<Rehearsal, number>();
    let reference: Float32Array | undefined;
    for (const rehearsal of rehearsals) {
      if (!isInTime()) return undefined;
      const result = await tryOut(device, rehearsal, counts, inputs);
      reference ??= result;
      if (agrees(result, reference)) times.set(rehearsal, Infinity);
    }
    // In turn, so that a GPU that has yet to speed up is slow for all.
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [rehearsal, least] of times) {
        if (!isInTime()) return undefined;
        const { dispatches } = rehearsal.recording;
        const { ms } = await stopwatch.perTime(dispatches, counts, LEAST_MS);
        times.set(rehearsal, Math.min(ms, least));
      }
    }
    return Object.fromEntries([...times].map(([{ name }, ms]): [string, number] => [name, ms]));
  } finally {
    stage.dispose();
  }
}

/** The first candidate, unless another is enough faster to be worth it. */
function fastestOf(times: Readonly<Record<string, number>>): string | undefined {
  let fastest: readonly [name: string, ms: number] | undefined;
  for (const [name, ms] of Object.entries(times)) {
    if (fastest === undefined || ms < fastest[1] * WORTHWHILE) fastest = [name, ms];
  }
  return fastest?.[0];
}

/** Runs a candidate once, on numbers that are always the same, and reads its result. */
async function tryOut(
  device: Device,
  { recording, output }: Rehearsal,
  counts: Counts,
  inputs: readonly Uint32Array<ArrayBuffer>[],
): Promise<Float32Array> {
  for (const [i, values] of inputs.entries()) {
    const place = recording.kept(`${i}`);
    if (place === undefined) continue;
    device.gpu.queue.writeBuffer(place.buffer, place.offset ?? 0, values);
  }
  const encoder = device.gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  recording.replay(pass, counts);
  pass.end();
  device.gpu.queue.submit([encoder.finish()]);
  const place = recording.kept('output');
  if (place === undefined) return new Float32Array();
  const size = Math.min(output.sizeBytes, COMPARED_BYTES);
  return new Float32Array(await readBuffer(device, { ...place, size }));
}

function numbersFor({ dtype, sizeBytes }: Tensor): Uint32Array<ArrayBuffer> {
  const [kept, set] = NUMBER_BITS[dtype] ?? [~0, 0];
  const wave = new Uint32Array(WAVE.buffer).map((word) => (word & kept) | set);
  const words = new Uint32Array(sizeBytes / 4);
  for (let at = 0; at < words.length; at += wave.length) {
    words.set(wave.subarray(0, words.length - at), at);
  }
  return words;
}

/** Counts of a step as large as what a result was recorded for. */
function fullCounts({ shape: [rows = 1] }: Tensor): Counts {
  return typeof rows === 'number' ? NO_COUNTS : { ...NO_COUNTS, [rows.count]: rows.capacity };
}

function agrees(result: Float32Array, reference: Float32Array): boolean {
  let largest = 0;
  for (const value of reference) largest = Math.max(largest, Math.abs(value));
  // A NaN must not slip through a comparison that is false for it.
  return result.every((value, i) => Math.abs(value - (reference[i] ?? NaN)) <= TOLERANCE * largest);
}
