import type { Device } from '../gpu/device.ts';
import type { EncoderModel, EncoderOutput } from '../models/family.ts';
import { DeviceLimitError, type QuernError } from '../util/errors.ts';
import type { EncoderTask } from './encoder_batches.ts';
import { EncoderRunner, type EncoderResult } from './encoder_runner.ts';
import type { EncoderSequence } from './encoder_state.ts';
import { Residency, type Care, type Residence, type RunnerTotals } from './residency.ts';

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
 * Encodes many sequences: as many at a time as a step has room for, in the order they came, tasks in turn. Sequences are laid end to
 * end, so a step costs its tokens and nothing for differences in length. On a device that takes the place of a lost one
 * those not yet answered are run again.
 */
export class EncoderQueue {
  readonly #limits: EncoderLimits;
  readonly #residency: Residency<EncoderModel, EncoderRunner>;
  /** Those that wait, by task. A step takes of the first task, which then goes to the end. */
  readonly #waiting = new Map<EncoderTask, EncoderJob[]>();
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
  prepare(care?: Care<EncoderModel>): Promise<void> {
    return this.#residency.prepare(care);
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

  /** The runner on the present device. */
  get runner(): EncoderRunner {
    return this.#residency.runner;
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
    return this.#allWaiting().length;
  }

  /**
   * Queues sequences.
   *
   * @returns ends those not yet answered; nothing is reported of them any more
   * @throws {QuernError} the device's failure, or {@link DisposedError}
   */
  add(jobs: readonly EncoderJob[]): () => void {
    this.#residency.throwIfFailed();
    this.#enqueue(jobs);
    this.#residency.start();
    return () => {
      const ended = new Set(jobs);
      for (const job of ended) this.#running.delete(job);
      for (const task of new Set(jobs.map((job) => job.task))) {
        const left = this.#waiting.get(task)?.filter((job) => !ended.has(job)) ?? [];
        if (left.length > 0) this.#waiting.set(task, left);
        else this.#waiting.delete(task);
      }
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
      const submitted = await this.#submit(residence.runner, batch, first.task);
      if (submitted === undefined) continue;
      const { results } = submitted;
      results.catch(() => undefined); // reported when its turn comes
      outstanding.push({ batch, results });
    }
  }

  /** @returns undefined if the batch was too large for the device, which its jobs have been told */
  async #submit(
    runner: EncoderRunner,
    batch: readonly EncoderJob[],
    task: EncoderTask,
  ): Promise<{ readonly results: Promise<readonly EncoderResult[]> } | undefined> {
    try {
      return await runner.submit(
        batch.map(({ sequence }) => sequence),
        task,
      );
    } catch (error) {
      if (!(error instanceof DeviceLimitError)) throw error;
      // Several fit in the budget: it is one that is too long.
      const tokens = batch.reduce((sum, { sequence }) => sum + sequence.ids.length, 0);
      const { limit, available, needed } = error;
      const refusal = new DeviceLimitError(
        limit,
        available,
        needed,
        `a text of ${tokens} tokens is too long for this device; cut it off with maxTokens and truncate, or ask for less of it`,
      );
      for (const job of batch) if (this.#running.delete(job)) job.onError(refusal);
      return undefined;
    }
  }

  /** The next jobs of one task that fit in a step: at least one, if there is any. */
  #takeBatch(runner: EncoderRunner): readonly EncoderJob[] {
    const [next] = this.#waiting;
    if (next === undefined) return [];
    const [task, line] = next;
    let tokens = Math.min(this.#limits.tokenBudget, runner.rowsFor([]));
    let rows = runner.rowsFor(task.outputs);
    const count = line.findIndex(({ sequence: { ids, positions = [] } }, i) => {
      tokens -= ids.length;
      rows -= task.selects ? positions.length : ids.length;
      return Math.min(tokens, rows) < 0 && i > 0;
    });
    const batch = line.splice(0, count === -1 ? line.length : count);
    this.#waiting.delete(task);
    if (line.length > 0) this.#waiting.set(task, line);
    for (const job of batch) this.#running.add(job);
    return batch;
  }

  #enqueue(jobs: Iterable<EncoderJob>): void {
    for (const job of jobs) {
      const line = this.#waiting.get(job.task);
      if (line === undefined) this.#waiting.set(job.task, [job]);
      else line.push(job);
    }
  }

  #allWaiting(): readonly EncoderJob[] {
    return [...this.#waiting.values()].flat();
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
    this.#enqueue(this.#takeAll());
  }

  #fail(error: QuernError): void {
    for (const job of this.#takeAll()) job.onError(error);
  }

  /** Every job not answered, those that ran first. */
  #takeAll(): readonly EncoderJob[] {
    const jobs = [...this.#running, ...this.#allWaiting()];
    this.#running.clear();
    this.#waiting.clear();
    return jobs;
  }
}
