import { describe, expect, it } from 'vitest';
import type { Request } from '../../../../src/engine/core/request.ts';
import { Scheduler } from '../../../../src/engine/core/scheduler.ts';
import type { ScheduledStep } from '../../../../src/engine/core/scheduled_step.ts';
import { Speculation, type Drafter } from '../../../../src/engine/core/speculation.ts';
import { StepCosts } from '../../../../src/engine/core/step_costs.ts';
import { next, range, shape } from './drive.ts';

const SIZES = {
  numBlocks: 32,
  pageSize: 4,
  contextLength: 64,
  maxSequences: 4,
  maxRows: 8,
  tokenBudget: 16,
  maxInFlight: 2,
} as const;

/** Guesses that tokens count up. */
const COUNTING: Drafter = {
  canDraft: () => true,
  draft: ({ tokens }: Request, most: number) => range(most, (tokens.at(-1) ?? 0) + 1),
  verified: () => undefined,
};

function create(
  { maxDrafts = 3, drafter = COUNTING, costs = new StepCosts() } = {},
  sizes: Partial<typeof SIZES | { maxRows: number }> = {},
): Scheduler {
  const options = { ...SIZES, ...sizes };
  return new Scheduler(options, new Speculation(drafter, costs, { ...options, maxDrafts }));
}

/** Completes a step in which every entry samples the tokens that count up from `first`. */
function complete(scheduler: Scheduler, step: ScheduledStep, first: number): readonly number[] {
  const ids = step.entries.map(({ drafts }) => range(1 + drafts.length, first));
  return scheduler.complete(step, ids).events.map(({ token }) => token);
}

describe('a step with drafts', () => {
  it('brings as many tokens as were right, and one more', () => {
    const scheduler = create();
    const request = scheduler.add({ prompt: range(5), speculates: true });
    complete(scheduler, next(scheduler), 5);
    const step = next(scheduler);
    expect(step.entries[0]).toMatchObject({
      start: 5,
      count: 4,
      kvLength: 9,
      drafts: [6, 7, 8],
      samples: true,
      inputFromGpu: false,
    });
    expect([step.numTokens, step.numSingles]).toEqual([4, 4]);
    expect(scheduler.complete(step, [[6, 7, 99, 50]]).events).toEqual(
      [6, 7, 99].map((token, sample) => ({ request, token, sample, finishReason: undefined })),
    );
    expect([request.numComputed, request.numDrafted, request.numAccepted]).toEqual([8, 3, 2]);
  });

  it('gives back the pages of wrong drafts, and publishes those of right ones only', () => {
    const scheduler = create({ maxDrafts: 7 });
    const request = scheduler.add({ prompt: range(4), speculates: true });
    complete(scheduler, next(scheduler), 4);
    const step = next(scheduler);
    expect(request.blocks).toHaveLength(3);
    expect(scheduler.numCachedBlocks).toBe(1);
    scheduler.complete(step, [[5, 6, 7, 99, 0, 0, 0, 0]]);
    // Of the tokens 0 to 7 and 99, all but the last have been computed.
    expect(request.blocks).toHaveLength(2);
    expect(scheduler.numCachedBlocks).toBe(2);
    expect(scheduler.numFreeBlocks).toBe(30);
    scheduler.finish(request, 'abort');
    expect(scheduler.numFreeBlocks).toBe(32);
  });

  it('waits for its result, while other requests go on', () => {
    const scheduler = create();
    scheduler.add({ prompt: [1], speculates: true });
    scheduler.add({ prompt: [2] });
    const first = next(scheduler);
    expect(shape(next(scheduler))).toEqual([[1, 1, 1]]);
    complete(scheduler, first, 5);
    expect(shape(next(scheduler))).toEqual([
      [0, 1, 4],
      [1, 2, 1],
    ]);
  });

  it('ends with a stop id among the drafts, and drops what comes after', () => {
    const scheduler = create();
    const request = scheduler.add({ prompt: range(5), stopIds: [7], speculates: true });
    complete(scheduler, next(scheduler), 5);
    expect(complete(scheduler, next(scheduler), 6)).toEqual([6, 7]);
    expect(request).toMatchObject({ finishReason: 'stop', numDrafted: 3, numAccepted: 1 });
    expect(scheduler.numFreeBlocks).toBe(32);
  });

  it('never goes past the last token', () => {
    const scheduler = create();
    const request = scheduler.add({ prompt: range(5), maxTokens: 4, speculates: true });
    complete(scheduler, next(scheduler), 5);
    const step = next(scheduler);
    expect(step.entries[0]?.drafts).toEqual([6, 7]);
    expect(complete(scheduler, step, 6)).toEqual([6, 7, 8]);
    expect(request.finishReason).toBe('length');
  });

  it('drops the result of a request that was aborted meanwhile', () => {
    const scheduler = create();
    const request = scheduler.add({ prompt: range(5), speculates: true });
    complete(scheduler, next(scheduler), 5);
    const step = next(scheduler);
    scheduler.finish(request, 'abort');
    expect(complete(scheduler, step, 6)).toEqual([]);
    expect(scheduler.numFreeBlocks).toBe(32);
    expect(request.numDrafted).toBe(0);
  });

  it('leaves every stream its place and shares what room is left', () => {
    const scheduler = create({ maxDrafts: 7 });
    for (let i = 0; i < 3; i++) scheduler.add({ prompt: [i, i], speculates: true });
    complete(scheduler, next(scheduler), 5);
    expect(next(scheduler).entries.map(({ count }) => count)).toEqual([3, 3, 2]);
  });

  it('is not made of requests that must not speculate, or where there is no room', () => {
    for (const [speculates, maxRows] of [
      [false, 8],
      [true, 4],
    ] as const) {
      const scheduler = create({}, { maxRows });
      for (let i = 0; i < 4; i++) scheduler.add({ prompt: [i], speculates });
      for (let i = 0; i < 3; i++) {
        const step = next(scheduler);
        expect(step.entries.map(({ drafts }) => drafts)).toEqual([[], [], [], []]);
        complete(scheduler, step, 5);
      }
    }
  });
});

describe('speculation', () => {
  /** Runs a request alone whose drafts are right or not; returns the numbers of drafts. */
  function draftsOf(scheduler: Scheduler, steps: number, isRight: boolean): number[] {
    const request = scheduler.add({ prompt: [0], speculates: true, maxTokens: 60 });
    const counts: number[] = [];
    while (counts.length < steps && request.status !== 'finished') {
      const step = next(scheduler);
      counts.push(step.entries[0]?.drafts.length ?? 0);
      const last = request.tokens.at(-1) ?? 0;
      complete(scheduler, step, isRight ? last + 1 : last + 2);
    }
    return counts;
  }

  it('guesses as many as pay: all where more rows cost nothing, few where they cost a lot', () => {
    const free = new StepCosts();
    free.record(1, false, 1);
    free.record(8, true, 1);
    expect(draftsOf(create({ maxDrafts: 7, costs: free }), 6, true).slice(1)).toEqual(
      Array.from({ length: 5 }, () => 7),
    );
    const dear = new StepCosts();
    dear.record(1, false, 1);
    dear.record(2, true, 1.2);
    dear.record(3, true, 1.5);
    dear.record(4, true, 2.5);
    expect(draftsOf(create({ costs: dear }), 3, true).slice(1)).toEqual([2, 2]);
  });

  it('stops by itself where guesses are wrong, and tries again later', () => {
    const costs = new StepCosts();
    costs.record(1, false, 1);
    costs.record(2, true, 1.3);
    const counts = draftsOf(create({ maxDrafts: 1, costs }), 58, false);
    const tried = counts.flatMap((count, i) => (count > 0 ? [i] : []));
    expect(tried.length).toBeGreaterThan(3);
    expect(tried.length).toBeLessThan(20);
    // A pause, and longer ones where it goes on like that.
    const gaps = tried.slice(1).map((at, i) => at - (tried[i] ?? 0));
    expect(Math.max(...gaps)).toBeGreaterThan(15);
  });

  it('stops where a verification costs more than it brings, however right the guesses are', () => {
    const costs = new StepCosts();
    costs.record(1, false, 1);
    costs.record(4, true, 4.5);
    const counts = draftsOf(create({ costs }), 40, true);
    expect(counts.filter((count) => count > 0).length).toBeLessThan(3);
  });

  it('lets requests go on without waiting where others take all the room', () => {
    const scheduler = create({}, { maxRows: 4 });
    for (let i = 0; i < 4; i++) scheduler.add({ prompt: [i], speculates: true });
    complete(scheduler, next(scheduler), 5);
    complete(scheduler, next(scheduler), 6);
    next(scheduler);
    expect(next(scheduler).entries.every(({ inputFromGpu }) => inputFromGpu)).toBe(true);
  });

  it('lets requests go on without waiting while it pauses', () => {
    const costs = new StepCosts();
    costs.record(1, false, 1);
    costs.record(2, true, 9);
    const scheduler = create({ maxDrafts: 1, costs });
    scheduler.add({ prompt: [0], speculates: true });
    complete(scheduler, next(scheduler), 5);
    const step = next(scheduler);
    expect(step.entries[0]?.drafts).toEqual([]);
    expect(next(scheduler).entries[0]?.inputFromGpu).toBe(true);
  });
});
