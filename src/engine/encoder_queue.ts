import type { Device } from '../gpu/device.ts';
import type { EncoderModel, EncoderOutput } from '../models/family.ts';
import type { QuernError } from '../util/errors.ts';
import type { EncoderTask } from './encoder_batches.ts';
import { EncoderRunner, type EncoderResult } from './encoder_runner.ts';
import type { EncoderSequence } from './encoder_state.ts';
import type { Recovery } from './recovery.ts';
import { Residency, type Residence, type RunnerTotals } from './residency.ts';

/** A sequence to encode, and whom to tell. */
export interface EncoderJob {
  readonly sequence: EncoderSequence;
  /** What is asked of it; sequences of one task are run together, so share the object. */
  readonly task: EncoderTask;
  /** Its results. Called at most once, as is `onError`. */
  onResult(result: EncoderResult): void;
  /** It could not be run, the device failed, or the encoder was disposed. */
  onError(error: unknown): void;
}

/** Sizes of an encoder's steps. */
export interface EncoderLimits {
  /** Most tokens of a step; a longer sequence is alone in its step. */
  readonly tokenBudget: number;
  /** Steps submitted before the first one's results are read. */
  readonly maxInFlight: number;
}

/**
 * Encodes many sequences: as many at a time as a step has room for, in the order they came. Sequences are laid end to
 * end, so a step costs its tokens and nothing for differences in length. On a device that takes the place of a lost one
 * those not yet answered are run again.
 */
export class EncoderQueue {
  readonly #limits: EncoderLimits;
  readonly #residency: Residency<EncoderModel, EncoderRunner>;
  #waiting: EncoderJob[] = [];
  /** Submitted, not answered. */
  readonly #running = new Set<EncoderJob>();
  readonly #totals = { sequences: 0, tokens: 0 };

  /** @param device - disposed by {@link dispose}, or when it is lost */
  constructor(device: Device, model: EncoderModel, limits: EncoderLimits) {
    this.#limits = limits;
    this.#residency = new Residency<EncoderModel, EncoderRunner>(
      { device, model },
      {
        settle: (placed) => new EncoderRunner(placed.device, placed.model, limits.maxInFlight),
        onLost: () => this.#startOver(),
        work: (residence) => this.#work(residence),
        onFailed: (error) => this.#fail(error),
      },
    );
  }

  /**
   * Compiles what a short text needs. A device that is lost later is replaced, if `recovery` is given.
   *
   * @throws {OutOfMemoryError} if the GPU could not grant the memory
   * @throws {ShaderError} if a shader does not compile
   */
  prepare(recovery?: Recovery<EncoderModel>): Promise<void> {
    return this.#residency.prepare(recovery);
  }

  get device(): Device {
    return this.#residency.device;
  }

  /** The model on the present device; what it tells of itself is the same on every device. */
  get model(): EncoderModel {
    return this.#residency.model;
  }

  /** What an output is: one of the model's, or a pooled one. @throws {RangeError} if there is none of this name */
  output(name: string): EncoderOutput {
    return this.#residency.runner.output(name);
  }

  get recoveries(): number {
    return this.#residency.recoveries;
  }

  /** Sequences and their tokens that were answered, and what was run for them. */
  get totals(): RunnerTotals & { readonly sequences: number; readonly tokens: number } {
    return { ...this.#residency.totals, ...this.#totals };
  }

  get numRunning(): number {
    return this.#running.size;
  }

  get numWaiting(): number {
    return this.#waiting.length;
  }

  /**
   * Queues sequences.
   *
   * @returns ends those not yet answered; nothing is reported of them any more
   * @throws {QuernError} the device's failure, or {@link DisposedError}
   */
  add(jobs: readonly EncoderJob[]): () => void {
    this.#residency.throwIfFailed();
    this.#waiting.push(...jobs);
    this.#residency.start();
    return () => {
      const ended = new Set(jobs);
      this.#waiting = this.#waiting.filter((job) => !ended.has(job));
      for (const job of ended) this.#running.delete(job);
    };
  }

  /** Ends every job with {@link DisposedError}, refuses later ones with it, and frees the GPU. */
  dispose(): Promise<void> {
    return this.#residency.dispose();
  }

  /** Steps until nothing is left to do, or the residence is no more. */
  async #work(residence: Residence<EncoderModel, EncoderRunner>): Promise<void> {
    const isLive = (): boolean => this.#residency.isLive(residence);
    const outstanding: {
      batch: readonly EncoderJob[];
      results: Promise<readonly EncoderResult[]>;
    }[] = [];
    while (isLive()) {
      const isFull = outstanding.length >= this.#limits.maxInFlight;
      const batch = isFull ? [] : this.#takeBatch(residence.runner);
      const [first] = batch;
      if (first === undefined) {
        const oldest = outstanding.shift();
        if (oldest === undefined) break;
        const results = await oldest.results;
        // What came back from a lost device has been queued again.
        if (isLive()) this.#complete(oldest.batch, results);
        continue;
      }
      const sequences = batch.map(({ sequence }) => sequence);
      const { results } = await residence.runner.submit(sequences, first.task);
      results.catch(() => undefined); // reported when its turn comes
      outstanding.push({ batch, results });
    }
  }

  /** The next jobs of one task that fit in a step: at least one, if there is any. */
  #takeBatch(runner: EncoderRunner): readonly EncoderJob[] {
    const [first] = this.#waiting;
    if (first === undefined) return [];
    const { task } = first;
    const most = task.selects ? Infinity : runner.tokensFor(task.outputs);
    let room = Math.min(this.#limits.tokenBudget, most);
    let isFull = false;
    const batch: EncoderJob[] = [];
    this.#waiting = this.#waiting.filter((job) => {
      const { length } = job.sequence.ids;
      isFull ||= job.task === task && length > room && batch.length > 0;
      if (isFull || job.task !== task) return true;
      room -= length;
      batch.push(job);
      this.#running.add(job);
      return false;
    });
    return batch;
  }

  #complete(batch: readonly EncoderJob[], results: readonly EncoderResult[]): void {
    for (const [i, job] of batch.entries()) {
      const result = results[i];
      if (result === undefined || !this.#running.delete(job)) continue;
      this.#totals.sequences += 1;
      this.#totals.tokens += job.sequence.ids.length;
      job.onResult(result);
    }
  }

  #startOver(): void {
    this.#waiting = [...this.#running, ...this.#waiting];
    this.#running.clear();
  }

  #fail(error: QuernError): void {
    const ended = [...this.#running, ...this.#waiting];
    this.#running.clear();
    this.#waiting = [];
    for (const job of ended) job.onError(error);
  }
}
