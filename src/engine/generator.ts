import type { Device } from '../gpu/device.ts';
import type { SampleResult } from '../kernels/sample.ts';
import type { Decoder } from '../models/family.ts';
import { ropeLength } from '../nn/rope.ts';
import { DeviceLostError, DisposedError, RequestError, type QuernError } from '../util/errors.ts';
import { orAbort } from '../util/or_abort.ts';
import type { EngineStats } from './api.ts';
import type { FinishReason, Request } from './core/request.ts';
import type { SamplingParams } from './core/sampling.ts';
import type { ScheduledStep } from './core/scheduled_step.ts';
import { Scheduler } from './core/scheduler.ts';
import type { ResolvedLimits } from './limits.ts';
import { nameFailure, setUpOn } from './failure.ts';
import type { PlacedModel, Recovery } from './recovery.ts';
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

/** What is on a device, and goes with it. */
interface Residence extends PlacedModel {
  readonly runner: Runner;
}

/**
 * Continues many token sequences at once: scheduler, runner, and the loop between them. Knows ids, not text.
 *
 * A lost device is replaced, whether or not anything runs: what the scheduler knows outlives it, so sequences go on
 * after the last token that came back. A token that had been sampled but not read is sampled again; nobody has seen it.
 */
export class Generator {
  readonly #limits: ResolvedLimits;
  readonly #scheduler: Scheduler;
  #residence: Residence;
  readonly #active = new Map<Request, Active>();
  /** The residence that the loop steps on, while it runs. */
  #runsOn: Residence | undefined;
  #recovery: Recovery | undefined;
  /** Settles when a recovery under way has ended; never rejects. */
  #recovering: Promise<void> | undefined;
  #failure: QuernError | undefined;
  readonly #totals = { promptTokens: 0, cachedTokens: 0, generatedTokens: 0, preemptions: 0 };
  /** What was run on devices that are lost. */
  #lostTotals: Runner['totals'] = { steps: 0, dispatches: 0 };

  /**
   * @param device - disposed by {@link dispose}, or when it is lost
   * @throws {DeviceLimitError} if the device cannot hold the KV cache
   */
  constructor(device: Device, decoder: Decoder, limits: ResolvedLimits) {
    this.#limits = limits;
    this.#scheduler = new Scheduler({
      numBlocks: limits.pages,
      pageSize: limits.pageSize,
      contextLength: limits.contextLength,
      window: decoder.kv.window,
      maxSequences: limits.maxSequences,
      tokenBudget: limits.tokenBudget,
      maxInFlight: limits.maxInFlight,
    });
    this.#residence = this.#settle({ device, decoder });
    this.#watch(this.#residence);
  }

  /**
   * Compiles all that steps need. A device that is lost later is replaced, if `recovery` is given.
   *
   * @throws {OutOfMemoryError} if the GPU could not grant the memory
   * @throws {ShaderError} if a shader does not compile
   */
  async prepare(recovery?: Recovery): Promise<void> {
    await this.#residence.runner.prepare();
    this.#recovery = recovery;
  }

  get scheduler(): Pick<
    Scheduler,
    'capacity' | 'numRunning' | 'numWaiting' | 'numFreeBlocks' | 'numCachedBlocks'
  > {
    return this.#scheduler;
  }

  /** The runner on the present device. */
  get runner(): Runner {
    return this.#residence.runner;
  }

  /** The device; while a lost one is being replaced, still that, without any memory. */
  get device(): Device {
    return this.#residence.device;
  }

  /** Lost devices that were replaced. */
  get recoveries(): number {
    return this.#recovery?.count ?? 0;
  }

  /**
   * What was run, on all devices, and counts of the sequences that have ended; preemptions are sequences that gave up
   * their blocks for a while.
   */
  get totals(): EngineStats['totals'] {
    return { ...sum(this.#lostTotals, this.#residence.runner.totals), ...this.#totals };
  }

  /**
   * Queues a sequence. While a lost device is being replaced it waits for the new one.
   *
   * @throws {RequestError} if the prompt is empty, does not fit, or has an id the model does not know
   * @throws {QuernError} the device's failure, or {@link DisposedError}
   */
  add(generation: Generation): GenerationHandle {
    if (this.#failure !== undefined) throw this.#failure;
    const { rope, vocab } = this.#residence.decoder;
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
    this.#start();
    return active;
  }

  /**
   * Ends every sequence with {@link DisposedError}, refuses later ones with it, and frees the GPU, also in the middle of
   * a recovery.
   */
  async dispose(): Promise<void> {
    const error = new DisposedError('engine: disposed; load the model again');
    this.#fail(error);
    this.#recovery?.stop(error);
    await this.#recovering;
    const { device } = this.#residence;
    device.dispose();
    await device.gpu.lost;
  }

  #start(): void {
    const residence = this.#residence;
    if (this.#runsOn === residence || !this.#isLive(residence)) return;
    this.#runsOn = residence;
    void this.#run(residence);
  }

  /** Steps until nothing is left to do, or the residence is no more. Never rejects. */
  async #run(residence: Residence): Promise<void> {
    const outstanding: {
      step: ScheduledStep;
      results: Promise<readonly (SampleResult | undefined)[]>;
    }[] = [];
    try {
      // A caller that adds several sequences in a row gets them into the same step.
      await Promise.resolve();
      while (this.#isLive(residence)) {
        const step = this.#scheduler.schedule();
        if (step === undefined) {
          const oldest = outstanding.shift();
          if (oldest === undefined) break;
          const results = await oldest.results;
          // What came back from a lost device is known to the scheduler no more.
          if (this.#isLive(residence)) this.#complete(oldest.step, results);
          continue;
        }
        this.#markStarted(step);
        const { results } = await residence.runner.submit(
          step,
          (request) => this.#samplingOf(request),
          (request, row) => this.#scheduler.fillTableRow(request, row),
        );
        results.catch(() => undefined); // reported when its turn comes
        outstanding.push({ step, results });
      }
    } catch (error) {
      // After a loss or the end the GPU calls under way fail too; that is known.
      if (this.#isLive(residence)) {
        this.#onFailure(residence, await nameFailure(residence.device, error));
      }
    } finally {
      if (this.#runsOn === residence) this.#runsOn = undefined;
    }
  }

  #complete(step: ScheduledStep, results: readonly (SampleResult | undefined)[]): void {
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

  /** Whether steps may be run on this residence. */
  #isLive(residence: Residence): boolean {
    return (
      this.#failure === undefined && this.#recovering === undefined && this.#residence === residence
    );
  }

  /** Allocates what requests need beside the weights. */
  #settle({ device, decoder }: PlacedModel): Residence {
    const runner = new Runner(device, decoder, this.#limits, this.#scheduler.tableWidth);
    return { device, decoder, runner };
  }

  #watch(residence: Residence): void {
    void residence.device.failed.then((error) => this.#onFailure(residence, error));
  }

  #onFailure(residence: Residence, error: QuernError): void {
    if (!this.#isLive(residence)) return;
    if (error instanceof DeviceLostError && this.#recovery !== undefined) {
      this.#recovering = this.#recover(this.#recovery, error);
    } else {
      this.#fail(error);
    }
  }

  /** Goes on on a new device, or ends. Never rejects. */
  async #recover(recovery: Recovery, lost: DeviceLostError): Promise<void> {
    const { device } = this.#residence;
    this.#scheduler.startOver();
    // Before the new one is opened: there may not be memory for two.
    device.dispose();
    await device.gpu.lost;
    try {
      await recovery.replace(lost, (placed, signal) => this.#move(placed, signal));
    } catch (error) {
      if (error instanceof DeviceLostError) {
        this.#fail(error);
        recovery.tell('failed', error);
      }
    } finally {
      this.#recovering = undefined;
    }
    if (this.#failure !== undefined) return;
    this.#watch(this.#residence);
    this.#start();
  }

  async #move(placed: PlacedModel, signal: AbortSignal): Promise<void> {
    const residence = await setUpOn(placed.device, signal, async () => {
      const settled = this.#settle(placed);
      await orAbort(settled.runner.prepare(), signal);
      return settled;
    });
    this.#lostTotals = sum(this.#lostTotals, this.#residence.runner.totals);
    this.#residence = residence;
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

function sum(a: Runner['totals'], b: Runner['totals']): Runner['totals'] {
  const isTimed = a.gpuMs !== undefined || b.gpuMs !== undefined;
  return {
    steps: a.steps + b.steps,
    dispatches: a.dispatches + b.dispatches,
    ...(isTimed && { gpuMs: (a.gpuMs ?? 0) + (b.gpuMs ?? 0) }),
  };
}
