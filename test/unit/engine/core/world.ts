/** A scheduler and a fake GPU under random operations, with the invariants checked at every turn. */
import { expect } from 'vitest';
import type {
  BeamGroup,
  BeamOptions,
  Request,
  RequestOptions,
} from '../../../../src/engine/core/request.ts';
import { Scheduler } from '../../../../src/engine/core/scheduler.ts';
import type { ScheduledStep } from '../../../../src/engine/core/scheduled_step.ts';
import type { SchedulerOptions } from '../../../../src/engine/core/scheduler_options.ts';
import { RequestError } from '../../../../src/util/errors.ts';
import { DraftCache } from '../../../../src/engine/core/draft_cache.ts';
import { Speculation } from '../../../../src/engine/core/speculation.ts';
import { StepCosts } from '../../../../src/engine/core/step_costs.ts';
import { ensure, FakeGpu, type FakeResults, generateAlone, sampleAfter } from './fake_gpu.ts';

export const VOCAB = 29;

export type Operation =
  | { readonly kind: 'add'; readonly options: RequestOptions }
  | { readonly kind: 'addBeams'; readonly options: BeamOptions; readonly numBeams: number }
  | { readonly kind: 'schedule' | 'complete' | 'lose' | 'fail' }
  | { readonly kind: 'finish'; readonly pick: number };

/** Drafts of a toy draft model. */
export interface Guesses {
  readonly maxDrafts: number;
  /** Of 7 guesses, those that are wrong. */
  readonly wrong: number;
  /** Of a draft model, whose guesses the scheduler learns from the result only; without one it knows them before. */
  readonly cache:
    | Pick<SchedulerOptions, 'numBlocks' | 'pageSize' | 'contextLength' | 'window'>
    | undefined;
  /** Milliseconds of a verification by its rows; a plain step takes 1. */
  readonly costs: readonly number[];
}

/** A beam search beside what its sequences must be. */
interface Search {
  readonly options: BeamOptions;
  sequences: readonly (readonly number[])[];
}

/** Drives a scheduler and a fake GPU, checking the invariants at every turn. */
export class World {
  readonly scheduler: Scheduler;
  readonly #options: SchedulerOptions;
  readonly #gpu: FakeGpu;
  #results: { step: ScheduledStep; results: FakeResults }[] = [];
  /** Tokens that were sampled but lost before they came back. */
  numLostSamples = 0;
  numCopies = 0;
  numDrafts = 0;
  numRounds = 0;
  readonly #drafts: DraftCache | undefined;
  readonly #draftGpu: FakeGpu | undefined;
  readonly #draftBlocks: number = 0;
  readonly requests: Map<Request, RequestOptions> = new Map();
  readonly #searches = new Map<BeamGroup, Search>();
  /** What each beam sampled last. */
  readonly #samples = new Map<Request, number>();

  constructor(options: SchedulerOptions, guesses?: Guesses) {
    this.#options = options;
    if (guesses?.cache !== undefined) {
      const { maxSequences, tokenBudget, maxInFlight } = options;
      this.#drafts = new DraftCache({ ...guesses.cache, maxSequences, tokenBudget, maxInFlight });
      const { numBlocks, pageSize, window } = guesses.cache;
      const sizes = { numBlocks, pageSize, window, maxSequences };
      this.#draftBlocks = numBlocks;
      this.#draftGpu = new FakeGpu({ ...sizes, vocab: VOCAB, wrong: guesses.wrong });
    }
    this.scheduler = new Scheduler(options, guesses && this.#speculation(guesses));
    this.#gpu = new FakeGpu({ ...options, vocab: VOCAB });
  }

  #speculation({ maxDrafts, wrong, costs: measured }: Guesses): Speculation {
    const { maxInFlight } = this.#options;
    const costs = new StepCosts();
    for (const [i, ms] of measured.entries()) costs.record(i + 2, true, ms);
    const lookup = {
      canDraft: () => true,
      verified: () => undefined,
      draft: (request: Request, most: number) => {
        const asked = this.requests.get(request) ?? expect.fail('unknown request');
        const tokens = [...request.tokens];
        for (let i = 0; i < most; i++) tokens.push(sampleAfter(asked, tokens, VOCAB, wrong));
        return tokens.slice(request.tokens.length);
      },
    };
    return new Speculation(this.#drafts ?? lookup, costs, { maxDrafts, maxInFlight });
  }

  /** Has the draft model make the drafts of a step. */
  #draft(step: ScheduledStep): (slot: number, index: number) => number {
    const made: (readonly number[])[] = [];
    if (this.#drafts === undefined || this.#draftGpu === undefined) return () => NaN;
    for (const { step: round, index } of this.#drafts.rounds(step)) {
      this.#draftGpu.run(round, this.#drafts);
      if (index !== undefined) made[index] = this.#draftGpu.lastTokens;
      this.numRounds++;
    }
    // Where the pool had no room, any id stands in its place.
    return (slot, index) => made[index]?.[slot] ?? 0;
  }

  get unfinished(): Request[] {
    return [...this.requests.keys()].filter((request) => request.status !== 'finished');
  }

  apply(operation: Operation): void {
    switch (operation.kind) {
      case 'add':
        this.#add(operation.options);
        break;
      case 'addBeams':
        this.#addBeams(operation.options, operation.numBeams);
        break;
      case 'schedule':
        this.schedule();
        break;
      case 'complete':
        this.complete();
        break;
      case 'finish': {
        const request = [...this.requests.keys()][operation.pick];
        if (request !== undefined) {
          this.scheduler.finish(request, 'abort');
        }
        break;
      }
      case 'lose':
        this.#lose();
        break;
      case 'fail': {
        const unfinished = this.unfinished;
        expect(new Set(this.scheduler.failAll())).toEqual(new Set(unfinished));
        this.#gpu.lose();
        this.#drafts?.clear();
        this.#draftGpu?.lose();
        this.#results = [];
        break;
      }
    }
    this.#checkState();
  }

  /** Positions that a lone request with this encoder input has. */
  capacity({ encoderInput = [] }: BeamOptions): number {
    const { numBlocks, pageSize, contextLength, window = Infinity } = this.#options;
    const room = numBlocks - Math.ceil(encoderInput.length / pageSize);
    const isWindowHeld = Math.ceil((window - 1) / pageSize) + 1 <= room;
    return isWindowHeld ? contextLength : Math.min(contextLength, room * pageSize);
  }

  #add(options: RequestOptions): void {
    try {
      this.requests.set(this.scheduler.add(options), options);
    } catch (error) {
      ensure(
        error instanceof RequestError && options.prompt.length > this.capacity(options),
        'only what does not fit is refused',
      );
    }
  }

  #addBeams(options: BeamOptions, numBeams: number): void {
    const { numBlocks, pageSize, contextLength, maxSequences, window } = this.#options;
    const { prompt, encoderInput = [], maxTokens = Infinity } = options;
    const positions = Math.min(prompt.length + maxTokens - 1, contextLength);
    const blocks = [encoderInput.length, ...Array.from({ length: numBeams }, () => positions)];
    const needed = blocks.reduce((sum, tokens) => sum + Math.ceil(tokens / pageSize), 0);
    try {
      const group = this.scheduler.addBeams(options, numBeams);
      ensure(needed <= numBlocks, 'beams fit when they are alone');
      this.#searches.set(group, { options, sequences: group.requests.map(() => prompt) });
      for (const request of group.requests) {
        this.requests.set(request, options);
      }
    } catch (error) {
      const isTooMuch = needed > numBlocks || numBeams > maxSequences;
      const isImpossible = prompt.length > contextLength || window !== undefined;
      ensure(
        error instanceof RequestError && (isTooMuch || isImpossible),
        'only beams that do not fit are refused',
      );
    }
  }

  #lose(): void {
    const before = this.unfinished.map((request) => [request, [...request.tokens]] as const);
    this.numLostSamples += before.reduce((sum, [request]) => sum + request.numInFlight, 0);
    this.scheduler.startOver();
    this.#gpu.lose();
    this.#drafts?.clear();
    this.#draftGpu?.lose();
    this.#results = [];
    for (const [request, tokens] of before) {
      ensure(
        request.status === 'waiting' && request.length === tokens.length,
        'all wait again, with the tokens that came back',
      );
    }
    const { numInFlight, numCachedBlocks } = this.scheduler;
    ensure(numInFlight === 0 && numCachedBlocks === 0, 'nothing outlives the device');
  }

  schedule(): boolean {
    const streams = this.unfinished.filter((r) => r.status === 'running' && r.numPending === 1);
    const isFull = this.#results.length >= this.#options.maxInFlight;
    const step = this.scheduler.schedule();
    if (step === undefined) {
      // With nothing under way, whoever is left must be able to run.
      ensure(
        this.#results.length > 0 || this.unfinished.length === 0,
        'there is always something to run',
      );
      return false;
    }
    ensure(!isFull, 'maxInFlight holds');
    this.#checkStep(step);
    const draftOf = this.#draft(step);
    this.numCopies += step.copies.length;
    for (const stream of streams) {
      // Beams may have to share the last free blocks, but some go on.
      const unit = stream.group?.requests ?? [stream];
      const isInStep = step.entries.some(({ request }) => unit.includes(request));
      ensure(
        isInStep || stream.status === 'waiting',
        'each stream is in each step unless preempted',
      );
    }
    this.#results.push({ step, results: this.#gpu.run(step, this.scheduler, draftOf) });
    return true;
  }

  complete(): boolean {
    const result = this.#results.shift();
    if (result === undefined) {
      return false;
    }
    const before = new Map(this.unfinished.map((request) => [request, request.tokens.length]));
    const { ids, drafts } = result.results;
    for (const [i, { request, samples }] of result.step.entries.entries()) {
      if (samples) {
        this.#samples.set(request, ids[i]?.[0] ?? NaN);
      }
    }
    const { events, rounds } = this.scheduler.complete(result.step, ids, drafts);
    for (const [i, { request, sample, token, finishReason }] of events.entries()) {
      const length = before.get(request) ?? NaN;
      ensure(request.tokens[length] === token, 'an event is one more token');
      const entry = result.step.entries.findIndex((each) => each.request === request);
      ensure(ids[entry]?.[sample] === token, 'an event tells which sample it is');
      const isLast = events[i + 1]?.request !== request;
      ensure(
        finishReason === (isLast ? request.finishReason : undefined),
        'only the last token of a request ends it',
      );
      before.set(request, length + 1);
    }
    for (const [request, length] of before) {
      ensure(request.tokens.length === length, 'each token has its event');
    }
    ensure(new Set(rounds).size === rounds.length, 'a round is over once');
    for (const group of rounds) {
      this.#goOn(group);
    }
    return true;
  }

  /** Ends a round: with choices that depend on all that was sampled, and that share parents often. */
  #goOn(group: BeamGroup): void {
    const search = this.#searches.get(group) ?? expect.fail('unknown group');
    const { options, sequences } = search;
    const ids = sequences.map((tokens) => sampleAfter(options, tokens, VOCAB));
    for (const [i, request] of group.requests.entries()) {
      ensure(request.status !== 'finished' && request.numInFlight === 0, 'all samples are back');
      ensure(this.#samples.get(request) === ids[i], 'beams sample what they would alone');
    }
    const [{ numPrompt, maxLength }] = group.requests as readonly [Request];
    const length = (sequences[0]?.length ?? 0) + 1;
    if (length >= maxLength || length - numPrompt > 25) {
      this.scheduler.finishGroup(group, 'length');
      return;
    }
    const sum = ids.reduce((a, b) => a + b, 0);
    const choices = ids.map((id, i) => {
      const parent = ((sum >> (i % 3)) + i * (id % 2)) % ids.length;
      return { parent, token: ((ids[parent] ?? NaN) + i) % VOCAB };
    });
    search.sequences = choices.map(({ parent, token }) => [...(sequences[parent] ?? []), token]);
    this.scheduler.advance(group, choices);
  }

  /** Runs what is left; every request must end within the work there is, preemptions included. */
  drain(): void {
    let turns = 0;
    while (this.schedule() || this.complete()) {
      this.#checkState();
      ensure(turns++ < 20_000, 'requests end');
    }
    expect(this.unfinished).toEqual([]);
  }

  #checkStep(step: ScheduledStep): void {
    const { tokenBudget, maxSequences } = this.#options;
    const { entries, numTokens, numSingles } = step;
    const slots = new Set(entries.map(({ slot }) => slot));
    ensure(
      numTokens === entries.reduce((sum, { count }) => sum + count, 0),
      'numTokens is the sum',
    );
    ensure(numTokens <= tokenBudget, 'the budget holds');
    ensure(slots.size === entries.length, 'each entry has its own slot');
    const encoderTokens = step.encodes.map(({ encoderInput }) => encoderInput?.length ?? NaN);
    ensure(
      encoderTokens.length <= 1 ||
        encoderTokens.reduce((a, b) => a + b) <= (this.#options.encoderBudget ?? Infinity),
      'the encoder budget holds',
    );
    let numBefore = 0;
    let numRows = 0;
    for (const { request, slot, start, count, kvLength, ...entry } of entries) {
      ensure(
        !((request.isReactive || request.isHeld) && entry.inputFromGpu),
        'the token before is known if it must be',
      );
      ensure(
        request.slot === slot && slot >= 0 && slot < maxSequences,
        'the slot is the one of the request',
      );
      const { drafts } = entry;
      const isSingle = count === 1 + drafts.length;
      ensure(count >= 1 && isSingle === numBefore < numSingles, 'single tokens come first');
      ensure(
        drafts.length === 0 || (isSingle && request.speculates && request.isHeld),
        'drafts come after one known token',
      );
      numBefore += isSingle ? count : 0;
      numRows += isSingle ? count : 1;
      this.numDrafts += drafts.length;
      ensure(
        kvLength === start + count && kvLength <= this.scheduler.capacity,
        'positions are in capacity',
      );
    }
    ensure(numRows <= (this.#options.maxRows ?? maxSequences), 'the rows hold');
  }

  #checkState(): void {
    const running = this.unfinished.filter(({ status }) => status === 'running');
    const waiting = this.unfinished.filter(({ status }) => status === 'waiting');
    const oldestWaiting = Math.min(...waiting.map(({ id }) => id));
    const held = new Set(running.flatMap(({ blocks, crossBlocks }) => [...blocks, ...crossBlocks]));
    ensure(this.scheduler.numRunning === running.length, 'numRunning counts');
    ensure(this.scheduler.numWaiting === waiting.length, 'numWaiting counts');
    ensure(
      running.every(({ id }) => id < oldestWaiting),
      'running requests are the oldest',
    );
    ensure(
      this.scheduler.numFreeBlocks === this.#options.numBlocks - held.size,
      'no block is lost or doubled',
    );
    for (const { blocks, crossBlocks, slot, status } of this.requests.keys()) {
      ensure(blocks.length <= this.scheduler.tableWidth, 'live blocks fit in the table row');
      ensure(
        status === 'running' || (blocks.length + crossBlocks.length === 0 && slot === -1),
        'only running requests hold anything',
      );
    }
  }

  /** With nothing left to run, nothing may be held. */
  checkPools(): void {
    const { numBlocks } = this.#options;
    ensure(this.scheduler.numFreeBlocks === numBlocks, 'the pool is whole');
    const idle = { id: 0, encodes: [], copies: [], entries: [], numSingles: 0, numTokens: 0 };
    for (const _ of this.#drafts?.rounds(idle) ?? []) ensure(false, 'there is nothing to draft');
    ensure(
      this.#drafts === undefined || this.#drafts.numFreeBlocks === this.#draftBlocks,
      'the pool of the draft model is whole',
    );
  }

  checkOutputs(): void {
    for (const [group, { sequences }] of this.#searches) {
      expect(group.requests.map(({ tokens }) => tokens)).toEqual(sequences);
      expect(new Set(group.requests.map(({ finishReason }) => finishReason)).size).toBe(1);
    }
    for (const [request, options] of this.requests) {
      if (request.group !== undefined) {
        continue;
      }
      const alone = generateAlone(options, VOCAB, this.capacity(options));
      const generated = request.tokens.slice(request.numPrompt);
      if (request.finishReason === 'stop' || request.finishReason === 'length') {
        expect(generated).toEqual(alone);
        const isStop = request.stopIds.has(generated.at(-1) ?? -1);
        expect(request.finishReason).toBe(isStop ? 'stop' : 'length');
      } else {
        expect(generated).toEqual(alone.slice(0, generated.length));
      }
    }
  }
}
