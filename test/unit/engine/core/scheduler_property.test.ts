/** Random schedules on a fake GPU: whatever happens around it, a request generates what it would alone. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Request, RequestOptions } from '../../../../src/engine/core/request.ts';
import { Scheduler } from '../../../../src/engine/core/scheduler.ts';
import type { ScheduledStep } from '../../../../src/engine/core/scheduled_step.ts';
import type { SchedulerOptions } from '../../../../src/engine/core/scheduler.ts';
import { FakeGpu, generateAlone } from './fake_gpu.ts';

const VOCAB = 29;

type Operation =
  | { readonly kind: 'add'; readonly options: RequestOptions }
  | { readonly kind: 'schedule' | 'complete' | 'lose' | 'fail' }
  | { readonly kind: 'finish'; readonly pick: number };

/** Few distinct tokens and prompts that extend each other, so that prefixes collide all the time. */
const requestOptions: fc.Arbitrary<RequestOptions> = fc.record({
  prompt: fc
    .tuple(fc.oneof(fc.nat(8), fc.nat(40)), fc.array(fc.nat(1), { maxLength: 4 }))
    .map(([length, tail]) => [...Array.from({ length }, (_, i) => (i * i) % 3), 3, ...tail]),
  maxTokens: fc.option(fc.integer({ min: 1, max: 30 }), { nil: undefined, freq: 2 }),
  stopIds: fc.array(fc.nat(VOCAB - 1), { maxLength: 1 }),
  cacheSalt: fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.nat(2) },
  ),
  cacheLimit: fc.option(fc.nat(40), { nil: undefined, freq: 2 }),
});

const operations = fc.array(
  fc.oneof(
    {
      weight: 15,
      arbitrary: fc.record({ kind: fc.constant('add' as const), options: requestOptions }),
    },
    { weight: 40, arbitrary: fc.record({ kind: fc.constant('schedule' as const) }) },
    { weight: 30, arbitrary: fc.record({ kind: fc.constant('complete' as const) }) },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('finish' as const), pick: fc.nat(20) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('lose' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail' as const) }) },
  ),
  { minLength: 10, maxLength: 90, size: 'max' },
) satisfies fc.Arbitrary<Operation[]>;

const schedulerOptions: fc.Arbitrary<SchedulerOptions> = fc
  .record({
    pageSize: fc.integer({ min: 1, max: 16 }),
    poolTokens: fc.oneof(fc.integer({ min: 8, max: 60 }), fc.integer({ min: 60, max: 200 })),
    contextLength: fc.integer({ min: 10, max: 80 }),
    window: fc.option(fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 60 })), {
      nil: undefined,
      freq: 2,
    }),
    maxSequences: fc.integer({ min: 1, max: 5 }),
    extraBudget: fc.nat(20),
    maxInFlight: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ poolTokens, extraBudget, ...rest }) => ({
    ...rest,
    numBlocks: Math.ceil(poolTokens / rest.pageSize),
    tokenBudget: rest.maxSequences + extraBudget,
  }));

/** `expect` is too slow for what is checked a million times. */
function ensure(condition: boolean, invariant: string): void {
  if (!condition) {
    expect.fail(`broken: ${invariant}`);
  }
}

/** Drives a scheduler and a fake GPU, checking the invariants at every turn. */
class World {
  readonly scheduler: Scheduler;
  readonly #options: SchedulerOptions;
  readonly #gpu: FakeGpu;
  #results: { step: ScheduledStep; ids: number[] }[] = [];
  /** Tokens that were sampled but lost before they came back. */
  numLostSamples = 0;
  readonly requests = new Map<Request, RequestOptions>();

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.scheduler = new Scheduler(options);
    this.#gpu = new FakeGpu({ ...options, vocab: VOCAB });
  }

  get unfinished(): Request[] {
    return [...this.requests.keys()].filter((request) => request.status !== 'finished');
  }

  apply(operation: Operation): void {
    switch (operation.kind) {
      case 'add':
        if (operation.options.prompt.length <= this.scheduler.capacity) {
          this.requests.set(this.scheduler.add(operation.options), operation.options);
        }
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
        this.#results = [];
        break;
      }
    }
    this.#checkState();
  }

  #lose(): void {
    const before = this.unfinished.map((request) => [request, [...request.tokens]] as const);
    this.numLostSamples += before.reduce((sum, [request]) => sum + request.numInFlight, 0);
    this.scheduler.startOver();
    this.#gpu.lose();
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
    for (const stream of streams) {
      const isInStep = step.entries.some(({ request }) => request === stream);
      ensure(
        isInStep || stream.status === 'waiting',
        'each stream is in each step unless preempted',
      );
    }
    this.#results.push({ step, ids: this.#gpu.run(step, this.scheduler) });
    return true;
  }

  complete(): boolean {
    const result = this.#results.shift();
    if (result === undefined) {
      return false;
    }
    const before = new Map(this.unfinished.map((request) => [request, request.tokens.length]));
    for (const { request, token, finishReason } of this.scheduler.complete(
      result.step,
      result.ids,
    )) {
      ensure(
        request.tokens.length === (before.get(request) ?? NaN) + 1,
        'an event is one more token',
      );
      ensure(
        request.tokens.at(-1) === token && request.finishReason === finishReason,
        'events tell the state',
      );
      before.delete(request);
    }
    for (const [request, length] of before) {
      ensure(request.tokens.length === length, 'each token has its event');
    }
    return true;
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
    for (const [i, { request, slot, start, count, kvLength }] of entries.entries()) {
      ensure(
        request.slot === slot && slot >= 0 && slot < maxSequences,
        'the slot is the one of the request',
      );
      ensure(count >= 1 && (count === 1) === i < numSingles, 'single tokens come first');
      ensure(
        kvLength === start + count && kvLength <= this.scheduler.capacity,
        'positions are in capacity',
      );
    }
  }

  #checkState(): void {
    const running = this.unfinished.filter(({ status }) => status === 'running');
    const waiting = this.unfinished.filter(({ status }) => status === 'waiting');
    const oldestWaiting = Math.min(...waiting.map(({ id }) => id));
    const held = new Set(running.flatMap(({ blocks }) => blocks));
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
    for (const { blocks, slot, status } of this.requests.keys()) {
      ensure(blocks.length <= this.scheduler.tableWidth, 'live blocks fit in the table row');
      ensure(
        status === 'running' || (blocks.length === 0 && slot === -1),
        'only running requests hold anything',
      );
    }
  }

  checkOutputs(): void {
    for (const [request, options] of this.requests) {
      const alone = generateAlone(options, VOCAB, this.scheduler.capacity);
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

describe('any schedule', () => {
  it(
    'gives every request the tokens it would have alone and leaves the pool empty',
    { timeout: 60_000 },
    () => {
      const reached = {
        preempted: 0,
        cached: 0,
        cachedInWindow: 0,
        chunked: 0,
        failed: 0,
        stopped: 0,
        lostSamples: 0,
      };
      fc.assert(
        fc.property(schedulerOptions, operations, (options, list) => {
          const world = new World(options);
          for (const operation of list) {
            world.apply(operation);
          }
          world.drain();
          world.checkOutputs();
          reached.lostSamples += world.numLostSamples;
          expect(world.scheduler.numFreeBlocks).toBe(options.numBlocks);
          for (const request of world.requests.keys()) {
            reached.preempted += request.numPreemptions;
            reached.cached += Number(request.numCachedTokens > 0);
            reached.cachedInWindow += Number(
              request.numCachedTokens > (options.window ?? Infinity),
            );
            reached.chunked += Number(request.numPrompt > options.tokenBudget);
            reached.failed += Number(request.finishReason === 'error');
            reached.stopped += Number(request.finishReason === 'stop');
          }
        }),
        { numRuns: 300 },
      );
      // The property is worth something only where the schedules were eventful.
      for (const count of Object.values(reached)) {
        expect(count).toBeGreaterThan(5);
      }
    },
  );
});
