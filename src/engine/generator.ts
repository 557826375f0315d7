import type { Device } from '../gpu/device.ts';
import type { BeamCandidate } from '../kernels/beam_candidates.ts';
import { ropeLength, type RopeConfig } from '../nn/rope.ts';
import { DisposedError, RequestError, type QuernError } from '../util/errors.ts';
import type { EngineStats } from './api.ts';
import type { BeamGroup, Request } from './core/request.ts';
import { usesHistory, type SamplingParams } from './core/sampling.ts';
import type { ScheduledStep, StepEntry } from './core/scheduled_step.ts';
import { Scheduler } from './core/scheduler.ts';
import {
  decoderOf,
  type BeamGeneration,
  type Generation,
  type GenerationHandle,
  type GenerativeModel,
  type Prompt,
} from './generation.ts';
import { DraftingRunner } from './drafting_runner.ts';
import { Guessing, schedulerOptions, type DraftModel } from './guessing.ts';
import type { ResolvedLimits } from './limits.ts';
import type { PlacedModel } from './recovery.ts';
import { Residency, type Care, type Residence } from './residency.ts';
import { Runner } from './runner.ts';
import type { EntryResult } from './step_results.ts';
import type { BeamRules } from './step_state.ts';

/** What a request, or the group of requests of a beam search, is for. */
type Purpose =
  | { readonly kind: 'tokens'; readonly generation: Generation }
  | {
      readonly kind: 'beams';
      readonly generation: BeamGeneration;
      readonly group: BeamGroup;
      /** Of the round under way, as far as they are back. */
      readonly candidates: Map<Request, readonly BeamCandidate[]>;
    };

interface Active {
  readonly purpose: Purpose;
  startedAtMs: number | undefined;
  /** Tokens that were handed on: with drafts more may be known when a stop string ends it. */
  numTokens: number;
}

/** A submitted step. */
interface Outstanding {
  readonly step: ScheduledStep;
  readonly startMs: number;
  readonly results: Promise<readonly EntryResult[]>;
}

/**
 * Continues many token sequences at once: scheduler, runner, and the loop between them. Knows ids, not text.
 *
 * What the scheduler knows outlives a lost device, so sequences go on after the last token that came back. A token that
 * had been sampled but not read is sampled again; nobody has seen it.
 */
export class Generator {
  readonly #scheduler: Scheduler;
  readonly #residency: Residency<GenerativeModel, Runner | DraftingRunner>;
  readonly #guessing: Guessing;
  /** By request; all beams of a search have the same. */
  readonly #active = new Map<Request, Active>();
  readonly #totals = {
    promptTokens: 0,
    cachedTokens: 0,
    generatedTokens: 0,
    preemptions: 0,
    draftedTokens: 0,
    acceptedTokens: 0,
  };
  #encoderTokens = 0;

  /**
   * @param device - disposed by {@link dispose}, or when it is lost
   * @throws {DeviceLimitError} if the device cannot hold the KV cache
   */
  constructor(
    device: Device,
    model: GenerativeModel,
    limits: ResolvedLimits,
    drafting: DraftModel = {},
  ) {
    this.#guessing = new Guessing(limits, drafting);
    this.#scheduler = new Scheduler(schedulerOptions(limits, model), this.#guessing.speculation);
    this.#residency = new Residency<GenerativeModel, Runner | DraftingRunner>(
      { device, model, draft: drafting.draft },
      {
        settle: (placed) => this.#settle(placed, limits),
        onLost: () => {
          this.#scheduler.startOver();
          this.#guessing.clear();
          for (const { purpose } of this.#active.values()) {
            if (purpose.kind === 'beams') purpose.candidates.clear();
          }
        },
        work: (residence) => this.#work(residence),
        onFailed: (error) => this.#fail(error),
      },
    );
  }

  /**
   * Compiles all that steps need. A device that is lost later is replaced, if `care` says how.
   *
   * @throws {OutOfMemoryError} if the GPU could not grant the memory
   * @throws {ShaderError} if a shader does not compile
   */
  prepare(care?: Care<GenerativeModel>): Promise<void> {
    return this.#residency.prepare(care);
  }

  get scheduler(): Pick<
    Scheduler,
    'capacity' | 'maxLength' | 'numRunning' | 'numWaiting' | 'numFreeBlocks' | 'numCachedBlocks'
  > {
    return this.#scheduler;
  }

  /** The runner on the present device. */
  get runner(): Runner {
    const { runner } = this.#residency;
    return runner instanceof DraftingRunner ? runner.target : runner;
  }

  /** The device; while a lost one is being replaced, still that, without any memory. */
  get device(): Device {
    return this.#residency.device;
  }

  /** Lost devices that were replaced. */
  get recoveries(): number {
    return this.#residency.recoveries;
  }

  /**
   * What was run, on all devices, and counts of the sequences that have ended; preemptions are sequences that gave up
   * their blocks for a while.
   */
  get totals(): EngineStats['totals'] {
    const { verifications } = this.#guessing;
    return { ...this.#residency.totals, ...this.#totals, verifications };
  }

  /** Whether tokens of sequences may be guessed. */
  get speculates(): boolean {
    return this.#guessing.speculation !== undefined;
  }

  /** Tokens of encoders' inputs, of the sequences that have ended. */
  get encoderTokens(): number {
    return this.#encoderTokens;
  }

  /**
   * Queues a sequence. While a lost device is being replaced it waits for the new one.
   *
   * @throws {RequestError} if the prompt is empty, does not fit, or has an id the model does not know
   * @throws {QuernError} the device's failure, or {@link DisposedError}
   */
  add(generation: Generation): GenerationHandle {
    const { prompt, encoderInput, maxTokens, stopIds, sampling } = generation;
    this.#check(generation);
    const rope = decoderOf(this.#residency.model).ropes.find(isDynamic);
    // Under dynamic RoPE keys depend on the prompt's length, and those of generated tokens on their position.
    const cacheSalt = rope && ropeLength(rope, prompt.length);
    const request = this.#scheduler.add({
      prompt,
      encoderInput,
      maxTokens,
      stopIds,
      isReactive: 'at' in sampling && sampling.isReactive,
      // Penalties count what was sampled per sequence, not per draft.
      speculates: !('at' in sampling) && !usesHistory(sampling),
      ...(cacheSalt !== undefined && { cacheSalt, cacheLimit: cacheSalt }),
    });
    return this.#activate([request], { kind: 'tokens', generation }, () => {
      this.#scheduler.finish(request, 'abort');
    });
  }

  /**
   * Queues a beam search.
   *
   * @throws {RequestError} as {@link add}, or if there are more beams than sequences can run at once, or the cache cannot
   *   hold them
   * @throws {QuernError} as {@link add}
   */
  addBeams(generation: BeamGeneration): GenerationHandle {
    const { prompt, encoderInput, maxTokens, numBeams } = generation;
    this.#check(generation);
    const group = this.#scheduler.addBeams({ prompt, encoderInput, maxTokens }, numBeams);
    const purpose: Purpose = { kind: 'beams', generation, group, candidates: new Map() };
    return this.#activate(group.requests, purpose, () => {
      this.#scheduler.finishGroup(group, 'abort');
    });
  }

  /**
   * Ends every sequence with {@link DisposedError}, refuses later ones with it, and frees the GPU, also in the middle of
   * a recovery.
   */
  dispose(): Promise<void> {
    return this.#residency.dispose();
  }

  #check({ prompt, encoderInput = [] }: Prompt): void {
    this.#residency.throwIfFailed();
    const { model } = this.#residency;
    checkIds('prompt', prompt, decoderOf(model).vocab);
    if ('encoder' in model) checkIds('input', encoderInput, model.encoder.vocab);
  }

  #activate(requests: readonly Request[], purpose: Purpose, end: () => void): GenerationHandle {
    const active: Active = { purpose, startedAtMs: undefined, numTokens: 0 };
    for (const request of requests) this.#active.set(request, active);
    this.#residency.start();
    const [first] = requests;
    return {
      get cachedTokens() {
        return first?.numCachedTokens ?? 0;
      },
      get startedAtMs() {
        return active.startedAtMs;
      },
      get drafts() {
        return { drafted: first?.numDrafted ?? 0, accepted: first?.numAccepted ?? 0 };
      },
      end: () => {
        if (first === undefined || !this.#active.has(first)) return;
        this.#retire(requests);
        end();
      },
    };
  }

  /** Steps until nothing is left to do, or the residence is no more. */
  async #work(residence: Residence<GenerativeModel, Runner | DraftingRunner>): Promise<void> {
    const isLive = (): boolean => this.#residency.isLive(residence);
    const outstanding: Outstanding[] = [];
    while (isLive()) {
      const step = this.#scheduler.schedule();
      if (step === undefined) {
        const oldest = outstanding.shift();
        if (oldest === undefined) break;
        const results = await oldest.results;
        // What came back from a lost device is known to the scheduler no more.
        if (isLive()) this.#complete(oldest, results);
        continue;
      }
      const startMs = performance.now();
      this.#markStarted(step, startMs);
      const { results } = await residence.runner.submit(step, {
        samplingOf: (entry) => this.#samplingOf(entry),
        rulesOf: (request) => this.#rulesOf(request),
        fillTableRow: (request, row) => this.#scheduler.fillTableRow(request, row),
        fillCrossTableRow: (request, row) => this.#scheduler.fillCrossTableRow(request, row),
      });
      results.catch(() => undefined); // reported when its turn comes
      outstanding.push({ step, startMs, results });
    }
  }

  #complete({ step, startMs }: Outstanding, results: readonly EntryResult[]): void {
    this.#guessing.measure(step, startMs);
    for (const [i, { request }] of step.entries.entries()) {
      const candidates = results[i]?.candidates;
      const purpose = this.#active.get(request)?.purpose;
      if (candidates === undefined || purpose?.kind !== 'beams') continue;
      purpose.candidates.set(request, candidates);
    }
    const ids = results.map(({ samples = [] }) => samples.map(({ token }) => token));
    const drafts = results.map((result, i) => result.drafts ?? step.entries[i]?.drafts ?? []);
    const { events, rounds } = this.#scheduler.complete(step, ids, drafts);
    for (const { request, sample, finishReason } of events) {
      const active = this.#active.get(request);
      const entry = step.entries.findIndex((candidate) => candidate.request === request);
      const result = results[entry]?.samples?.[sample];
      // A stop string may have ended it with an earlier token of this very step.
      if (active?.purpose.kind !== 'tokens' || result === undefined) continue;
      active.numTokens += 1;
      if (finishReason !== undefined) this.#retire([request]);
      active.purpose.generation.onToken(result, finishReason);
    }
    for (const group of rounds) this.#advance(group);
  }

  #advance(group: BeamGroup): void {
    const [first] = group.requests;
    const purpose = first && this.#active.get(first)?.purpose;
    if (purpose?.kind !== 'beams') return;
    const { generation, candidates } = purpose;
    const choices = generation.onRound(group.requests.map((beam) => candidates.get(beam) ?? []));
    candidates.clear();
    // The search may have been ended meanwhile.
    if (first === undefined || !this.#active.has(first)) return;
    if (choices !== undefined) {
      this.#scheduler.advance(group, choices);
      return;
    }
    this.#retire(group.requests);
    this.#scheduler.finishGroup(group, 'stop');
  }

  #retire(requests: readonly Request[]): void {
    for (const [i, request] of requests.entries()) {
      const isBeam = request.group !== undefined;
      const { numTokens = 0 } = this.#active.get(request) ?? {};
      this.#active.delete(request);
      // Beams have one prompt.
      if (i === 0) {
        this.#totals.promptTokens += request.numPrompt;
        this.#encoderTokens += request.encoderInput?.length ?? 0;
        this.#totals.cachedTokens += request.numCachedTokens;
        this.#totals.preemptions += request.numPreemptions;
      }
      this.#totals.generatedTokens += isBeam
        ? request.tokens.length - request.numPrompt
        : numTokens;
      this.#totals.draftedTokens += request.numDrafted;
      this.#totals.acceptedTokens += request.numAccepted;
    }
  }

  #samplingOf({ request, kvLength }: StepEntry): SamplingParams | undefined {
    const purpose = this.#active.get(request)?.purpose;
    if (purpose === undefined) throw new DisposedError('engine: a scheduled request has ended');
    if (purpose.kind === 'beams') return undefined;
    const { sampling } = purpose.generation;
    if (!('at' in sampling)) return sampling;
    const { tokens } = request;
    const unknown = Array.from({ length: Math.max(0, kvLength - tokens.length) }, () => -1);
    return sampling.at([...tokens.slice(0, kvLength), ...unknown]);
  }

  #rulesOf(request: Request): BeamRules | undefined {
    const purpose = this.#active.get(request)?.purpose;
    return purpose?.kind === 'beams' ? purpose.generation.rulesOf(request.tokens) : undefined;
  }

  #markStarted(step: ScheduledStep, nowMs: number): void {
    for (const { request } of step.entries) {
      const active = this.#active.get(request);
      if (active !== undefined) active.startedAtMs ??= nowMs;
    }
  }

  /** Allocates what requests need beside the weights. */
  #settle(placed: PlacedModel<GenerativeModel>, limits: ResolvedLimits): Runner | DraftingRunner {
    const { tableWidth, crossTableWidth } = this.#scheduler;
    const widths = { tableWidth, crossTableWidth };
    return this.#guessing.settle(new Runner(placed.device, placed.model, limits, widths), placed);
  }

  #fail(error: QuernError): void {
    this.#scheduler.failAll();
    const ended = new Set([...this.#active.values()].map(({ purpose }) => purpose.generation));
    this.#active.clear();
    for (const generation of ended) generation.onError(error);
  }
}

function isDynamic({ scaling }: RopeConfig): boolean {
  return scaling.type === 'dynamic';
}

function checkIds(name: string, ids: readonly number[], vocab: number): void {
  const unknown = ids.find((id) => !(id >= 0 && id < vocab));
  if (unknown === undefined) return;
  throw new RequestError(
    `request: the ${name} has token id ${unknown}, expected 0 to ${vocab - 1}; the tokenizer does not belong to this model`,
    { param: name },
  );
}
