/** Random schedules on a fake GPU: whatever happens around it, a request generates what it would alone. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RequestOptions } from '../../../../src/engine/core/request.ts';
import type { SchedulerOptions } from '../../../../src/engine/core/scheduler_options.ts';
import { VOCAB, World } from './world.ts';
import type { Guesses, Operation } from './world.ts';

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
  isReactive: fc.boolean(),
  speculates: fc.boolean(),
});

/** With an encoder, most inputs and prompts are the same few. */
const encoderOptions: fc.Arbitrary<RequestOptions> = fc
  .tuple(requestOptions, fc.integer({ min: 1, max: 30 }), fc.nat(1), fc.nat(3))
  .map(([options, length, kind, shortened]) => ({
    ...options,
    ...(shortened > 0 && { prompt: options.prompt.slice(-shortened) }),
    encoderInput: Array.from({ length }, (_, i) => (kind * i) % 2),
  }));

function operations(options: fc.Arbitrary<RequestOptions>): fc.Arbitrary<Operation[]> {
  return fc.array(
    fc.oneof<[fc.WeightedArbitrary<Operation>, ...fc.WeightedArbitrary<Operation>[]]>(
      { weight: 11, arbitrary: fc.record({ kind: fc.constant('add' as const), options }) },
      {
        weight: 5,
        arbitrary: fc.record({
          kind: fc.constant('addBeams' as const),
          options,
          numBeams: fc.integer({ min: 1, max: 4 }),
        }),
      },
      { weight: 40, arbitrary: fc.record({ kind: fc.constant('schedule' as const) }) },
      { weight: 30, arbitrary: fc.record({ kind: fc.constant('complete' as const) }) },
      {
        weight: 5,
        arbitrary: fc.record({ kind: fc.constant('finish' as const), pick: fc.nat(20) }),
      },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('lose' as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail' as const) }) },
    ),
    { minLength: 10, maxLength: 90, size: 'max' },
  );
}

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
    maxInFlight: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ poolTokens, extraBudget, ...rest }) => ({
    ...rest,
    numBlocks: Math.ceil(poolTokens / rest.pageSize),
    tokenBudget: rest.maxSequences + extraBudget,
  }));

/** Short prompts that grow until the pool is full again and again. */
const crowdedOptions: fc.Arbitrary<RequestOptions> = fc
  .tuple(requestOptions, fc.integer({ min: 8, max: 25 }))
  .map(([options, maxTokens]) => ({ ...options, prompt: options.prompt.slice(-3), maxTokens }));

const crowdedScheduler: fc.Arbitrary<SchedulerOptions> = fc.record({
  pageSize: fc.integer({ min: 1, max: 4 }),
  numBlocks: fc.integer({ min: 20, max: 40 }),
  contextLength: fc.constant(30),
  maxSequences: fc.integer({ min: 3, max: 6 }),
  tokenBudget: fc.integer({ min: 6, max: 20 }),
  maxInFlight: fc.integer({ min: 1, max: 4 }),
});

const guesses: fc.Arbitrary<Guesses> = fc.record({
  maxDrafts: fc.integer({ min: 1, max: 7 }),
  wrong: fc.nat(7),
  cache: fc.option(
    fc.record({
      numBlocks: fc.integer({ min: 1, max: 40 }),
      pageSize: fc.integer({ min: 1, max: 16 }),
      contextLength: fc.integer({ min: 10, max: 80 }),
      window: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined, freq: 1 }),
    }),
    { nil: undefined, freq: 2 },
  ),
  costs: fc.array(fc.double({ min: 0.5, max: 4, noNaN: true }), { maxLength: 3 }),
});

/** Some schedulers have drafts verified, most of them with room for them when all slots are taken. */
const drafting = fc.option(fc.tuple(guesses, fc.nat(8)), { nil: undefined, freq: 2 });

const scenarios = fc.oneof(
  fc.tuple(crowdedScheduler, operations(crowdedOptions)),
  fc.tuple(schedulerOptions, operations(requestOptions)),
  fc.tuple(
    fc
      .tuple(schedulerOptions, fc.integer({ min: 1, max: 40 }))
      .map(([options, encoderBudget]) => ({ ...options, encoderBudget, maxEncoderInput: 30 })),
    operations(encoderOptions),
  ),
);

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
        copies: 0,
        drafts: 0,
        rounds: 0,
        accepted: 0,
        rejected: 0,
        preemptedSpeculating: 0,
        undrafted: 0,
        searched: 0,
        searchPreempted: 0,
        searchCached: 0,
        encoded: 0,
      };
      fc.assert(
        fc.property(scenarios, drafting, ([limits, list], [drafts, extraRows] = []) => {
          const maxRows = limits.maxSequences + (extraRows ?? 0);
          const options = { ...limits, maxRows };
          const world = new World(options, drafts);
          for (const operation of list) {
            world.apply(operation);
          }
          world.drain();
          world.checkOutputs();
          reached.lostSamples += world.numLostSamples;
          reached.copies += world.numCopies;
          reached.drafts += world.numDrafts;
          reached.rounds += world.numRounds;
          world.checkPools();
          for (const request of world.requests.keys()) {
            reached.preempted += request.numPreemptions;
            reached.cached += Number(request.numCachedTokens > 0);
            reached.cachedInWindow += Number(
              request.numCachedTokens > (options.window ?? Infinity),
            );
            reached.chunked += Number(request.numPrompt > options.tokenBudget);
            if (request.group !== undefined) {
              reached.searched += Number(request.finishReason === 'length');
              reached.searchPreempted += request.numPreemptions;
              reached.searchCached += Number(request.numCachedTokens > 0);
            }
            reached.accepted += request.numAccepted;
            reached.rejected += request.numDrafted - request.numAccepted;
            if (request.numDrafted > 0) reached.preemptedSpeculating += request.numPreemptions;
            reached.undrafted += Number(
              request.speculates && drafts !== undefined && request.numDrafted === 0,
            );
            reached.encoded += Number(request.encoderInput !== undefined);
            reached.failed += Number(request.finishReason === 'error');
            reached.stopped += Number(request.finishReason === 'stop');
          }
        }),
        { numRuns: 600 },
      );
      // The property is worth something only where the schedules were eventful.
      for (const [name, count] of Object.entries(reached)) {
        expect(count, name).toBeGreaterThan(2);
      }
    },
  );
});
