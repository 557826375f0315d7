import type { Device } from '../gpu/device.ts';
import type { SampleResult } from '../kernels/sample.ts';
import type { Decoder } from '../models/family.ts';
import { ropeLength } from '../nn/rope.ts';
import { DisposedError, RequestError, type QuernError } from '../util/errors.ts';
import type { EngineStats } from './api.ts';
import type { FinishReason, Request } from './core/request.ts';
import type { SamplingParams } from './core/sampling.ts';
import type { ScheduledStep } from './core/scheduled_step.ts';
import { Scheduler } from './core/scheduler.ts';
import type { ResolvedLimits } from './limits.ts';
import { nameFailure } from './failure.ts';
import { Runner } from './runner.ts';

/** A sequence to continue, as token ids, and whom to tell. */
export interface Generation {
  readonly prompt: readonly number[];
  /** Absent: until a stop id or the end of the context. */
  readonly maxTokens?: number | undefined;
  readonly stopIds: ReadonlySet<number>;
  readonly sampling: SamplingParams;
  /** A token, in order; `finishReason` is set on the last. May call {@link GenerationHandle.end}. */
  onToken(result: SampleResult, finishReason: FinishReason | undefined): void;
  /** The sequence ended without its last token: the device failed, or the engine was disposed. Called at most once. */
  onError(error: QuernError): void;
}

/** A sequence under way. */
export interface GenerationHandle {
  /** Prompt tokens that the prefix cache spared; known at the first token. */
  readonly cachedTokens: number;
  /** When its first step was submitted, as `performance.now()` counts; undefined before. */
  readonly startedAtMs: number | undefined;
  /** Ends it now; nothing is reported any more. Does nothing if it has ended. */
  end(): void;
}

interface Active extends GenerationHandle {
  readonly generation: Generation;
  readonly request: Request;
  startedAtMs: number | undefined;
}

/**
 * Continues many token sequences at once: scheduler, runner, and the loop between them. Knows ids, not text.
 */
export class Generator {
  readonly #device: Device;
  readonly #decoder: Decoder;
  readonly #scheduler: Scheduler;
  readonly #runner: Runner;
  readonly #active = new Map<Request, Active>();
  #isRunning = false;
  #failure: QuernError | undefined;
  readonly #totals = { promptTokens: 0, cachedTokens: 0, generatedTokens: 0, preemptions: 0 };

  /** @throws {DeviceLimitError} if the device cannot hold the KV cache */
  constructor(device: Device, decoder: Decoder, limits: ResolvedLimits) {
    this.#device = device;
    this.#decoder = decoder;
    this.#scheduler = new Scheduler({
      numBlocks: limits.pages,
      pageSize: limits.pageSize,
      contextLength: limits.contextLength,
      window: decoder.kv.window,
      maxSequences: limits.maxSequences,
      tokenBudget: limits.tokenBudget,
      maxInFlight: limits.maxInFlight,
    });
    this.#runner = new Runner(device, decoder, limits, this.#scheduler.tableWidth);
    void device.failed.then((error) => this.#fail(error));
  }

  get scheduler(): Pick<
    Scheduler,
    'capacity' | 'numRunning' | 'numWaiting' | 'numFreeBlocks' | 'numCachedBlocks'
  > {
    return this.#scheduler;
  }

  get runner(): Runner {
    return this.#runner;
  }

  /** Counts of the sequences that have ended; preemptions are sequences that gave up their blocks for a while. */
  get totals(): Omit<EngineStats['totals'], keyof Runner['totals']> {
    return this.#totals;
  }

  /**
   * Queues a sequence.
   *
   * @throws {RequestError} if the prompt is empty, does not fit, or has an id the model does not know
   * @throws {QuernError} the device's failure, or {@link DisposedError}
   */
  add(generation: Generation): GenerationHandle {
    if (this.#failure !== undefined) throw this.#failure;
    const { rope, vocab } = this.#decoder;
    const { prompt } = generation;
    const unknown = prompt.find((id) => !(id >= 0 && id < vocab));
    if (unknown !== undefined) {
      throw new RequestError(
        `request: the prompt has token id ${unknown}, expected 0 to ${vocab - 1}; the tokenizer does not belong to this model`,
        { param: 'prompt' },
      );
    }
    // Under dynamic RoPE keys depend on the prompt's length, and those of generated tokens on their position.
    const isDynamic = rope.scaling.type === 'dynamic';
    const cacheSalt = ropeLength(rope, prompt.length);
    const request = this.#scheduler.add({
      prompt,
      maxTokens: generation.maxTokens,
      stopIds: generation.stopIds,
      ...(isDynamic && { cacheSalt, cacheLimit: cacheSalt }),
    });
    const active: Active = {
      generation,
      request,
      startedAtMs: undefined,
      get cachedTokens() {
        return request.numCachedTokens;
      },
      end: () => {
        if (!this.#active.has(request)) return;
        this.#retire(request);
        this.#scheduler.finish(request, 'abort');
      },
    };
    this.#active.set(request, active);
    if (!this.#isRunning) void this.#run();
    return active;
  }

  /** Ends every sequence with `error`; later ones are refused with it. */
  stop(error: QuernError = new DisposedError('engine: disposed; load the model again')): void {
    this.#fail(error);
  }

  /** Steps until nothing is left to do. Never rejects. */
  async #run(): Promise<void> {
    const outstanding: {
      step: ScheduledStep;
      results: Promise<readonly (SampleResult | undefined)[]>;
    }[] = [];
    this.#isRunning = true;
    try {
      // A caller that adds several sequences in a row gets them into the same step.
      await Promise.resolve();
      while (this.#failure === undefined) {
        const step = this.#scheduler.schedule();
        if (step === undefined) {
          const oldest = outstanding.shift();
          if (oldest === undefined) break;
          this.#complete(oldest.step, await oldest.results);
          continue;
        }
        this.#markStarted(step);
        const { results } = await this.#runner.submit(
          step,
          (request) => this.#samplingOf(request),
          (request, row) => this.#scheduler.fillTableRow(request, row),
        );
        results.catch(() => undefined); // reported when its turn comes
        outstanding.push({ step, results });
      }
    } catch (error) {
      // After `stop` the GPU calls under way fail too; that has been reported.
      if (this.#failure === undefined) this.#fail(await nameFailure(this.#device, error));
    } finally {
      this.#isRunning = false;
    }
  }

  #complete(step: ScheduledStep, results: readonly (SampleResult | undefined)[]): void {
    if (this.#failure !== undefined) return;
    const ids = results.map((result) => result?.token ?? 0);
    for (const { request, finishReason } of this.#scheduler.complete(step, ids)) {
      const active = this.#active.get(request);
      const result = results[step.entries.findIndex((entry) => entry.request === request)];
      if (active === undefined || result === undefined) continue;
      if (finishReason !== undefined) this.#retire(request);
      active.generation.onToken(result, finishReason);
    }
  }

  #retire(request: Request): void {
    this.#active.delete(request);
    this.#totals.promptTokens += request.numPrompt;
    this.#totals.cachedTokens += request.numCachedTokens;
    this.#totals.generatedTokens += request.tokens.length - request.numPrompt;
    this.#totals.preemptions += request.numPreemptions;
  }

  #samplingOf(request: Request): SamplingParams {
    const active = this.#active.get(request);
    if (active === undefined) throw new DisposedError('engine: a scheduled request has ended');
    return active.generation.sampling;
  }

  #markStarted(step: ScheduledStep): void {
    for (const { request } of step.entries) {
      const active = this.#active.get(request);
      if (active !== undefined) active.startedAtMs ??= performance.now();
    }
  }

  #fail(error: QuernError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#scheduler.failAll();
    const ended = [...this.#active.values()];
    this.#active.clear();
    for (const { generation } of ended) generation.onError(error);
  }
}
