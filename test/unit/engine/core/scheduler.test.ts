import { describe, expect, it } from 'vitest';
import type { Request } from '../../../../src/engine/core/request.ts';
import type { ScheduledStep } from '../../../../src/engine/core/scheduled_step.ts';
import { advance, complete, create, next, range, shape } from './drive.ts';

describe('steps', () => {
  it('are a prefill, then one token each', () => {
    const scheduler = create();
    const request = scheduler.add({ prompt: range(5), maxTokens: 3 });
    const first = next(scheduler);
    expect(first).toEqual({
      id: 0,
      encodes: [],
      copies: [],
      numSingles: 0,
      numTokens: 5,
      entries: [
        {
          request,
          slot: 0,
          isFirst: true,
          start: 0,
          count: 5,
          kvLength: 5,
          drafts: [],
          samples: true,
          inputFromGpu: false,
        },
      ],
    });
    expect(complete(scheduler, first, 7)).toEqual([
      { request, sample: 0, token: 7, finishReason: undefined },
    ]);
    const second = next(scheduler);
    expect(second.entries[0]).toMatchObject({
      isFirst: false,
      start: 5,
      count: 1,
      kvLength: 6,
      inputFromGpu: false,
    });
    expect(second.numSingles).toBe(1);
    complete(scheduler, second, 8);
    expect(advance(scheduler, 9)).toEqual([
      { request, sample: 0, token: 9, finishReason: 'length' },
    ]);
    expect(request.tokens).toEqual([...range(5), 7, 8, 9]);
    expect(scheduler.schedule()).toBeUndefined();
    expect(scheduler.numFreeBlocks).toBe(64);
  });

  it('take the input from the GPU while the token is in flight, and stop at maxInFlight', () => {
    const scheduler = create();
    const request = scheduler.add({ prompt: [1] });
    const steps = [next(scheduler), next(scheduler)];
    expect(steps.map(({ entries }) => entries[0]?.inputFromGpu)).toEqual([false, true]);
    expect(scheduler.schedule()).toBeUndefined();
    expect(scheduler.numInFlight).toBe(2);
    complete(scheduler, steps[0] ?? expect.fail());
    expect(shape(next(scheduler))).toEqual([[request.id, 2, 1]]);
  });

  it('split a long prompt by the budget and sample only after its end', () => {
    const scheduler = create({ tokenBudget: 6 });
    scheduler.add({ prompt: range(14) });
    const steps = [0, 1, 2].map(() => {
      const step = next(scheduler);
      complete(scheduler, step);
      return step;
    });
    expect(steps.map(shape)).toEqual([[[0, 0, 6]], [[0, 6, 6]], [[0, 12, 2]]]);
    expect(steps.map(({ entries }) => entries[0]?.samples)).toEqual([false, false, true]);
  });

  it('give each running stream its token while a long prompt is computed', () => {
    const scheduler = create({ tokenBudget: 6 });
    scheduler.add({ prompt: [1] });
    scheduler.add({ prompt: [2] });
    advance(scheduler);
    scheduler.add({ prompt: range(20) });
    const steps = range(6).map(() => {
      const step = next(scheduler);
      complete(scheduler, step);
      return step;
    });
    for (const step of steps) {
      expect(step.entries.slice(0, 2).map(({ request, count }) => [request.id, count])).toEqual([
        [0, 1],
        [1, 1],
      ]);
    }
    expect(steps.map(({ entries }) => entries[2]?.count)).toEqual([4, 4, 4, 4, 4, 1]);
    expect(steps.map(({ numSingles }) => numSingles)).toEqual([2, 2, 2, 2, 2, 3]);
  });

  it('serve prompts in order of arrival, several in one step', () => {
    const scheduler = create({ tokenBudget: 10 });
    for (const size of [4, 5, 8, 3]) {
      scheduler.add({ prompt: range(size, size * 100) });
    }
    const step = next(scheduler);
    expect(shape(step)).toEqual([
      [2, 0, 1],
      [0, 0, 4],
      [1, 0, 5],
    ]);
    complete(scheduler, step);
    expect(shape(next(scheduler))).toEqual([
      [0, 4, 1],
      [1, 5, 1],
      [3, 0, 1],
      [2, 1, 7],
    ]);
  });

  it('run no more requests than there are slots, and reuse a slot', () => {
    const scheduler = create({ maxSequences: 2 });
    const requests = range(3).map((i) => scheduler.add({ prompt: [i] }));
    advance(scheduler);
    expect([scheduler.numRunning, scheduler.numWaiting]).toEqual([2, 1]);
    scheduler.finish(requests[0] ?? expect.fail(), 'stop');
    const step = next(scheduler);
    expect(step.entries.map(({ request, slot }) => [request.id, slot])).toEqual([
      [1, 1],
      [2, 0],
    ]);
  });
});

describe('prefix cache', () => {
  it('spares a second request the whole blocks of a common prefix', () => {
    const scheduler = create();
    scheduler.add({ prompt: range(10), maxTokens: 1 });
    advance(scheduler);
    const request = scheduler.add({ prompt: [...range(10), 77] });
    const step = next(scheduler);
    expect(shape(step)).toEqual([[1, 8, 3]]);
    expect(request.numCachedTokens).toBe(8);
  });

  it('continues a conversation from what was generated, stop token included', () => {
    const scheduler = create();
    const first = scheduler.add({ prompt: range(6), stopIds: [50] });
    const steps = [next(scheduler)];
    complete(scheduler, steps[0] ?? expect.fail(), 49);
    const over = [next(scheduler), next(scheduler)];
    for (const step of over) {
      complete(scheduler, step, 50);
    }
    expect(first.tokens).toEqual([...range(6), 49, 50]);
    const second = scheduler.add({ prompt: [...first.tokens, 60] });
    expect(shape(next(scheduler))).toEqual([[second.id, 8, 1]]);
  });

  it('is shared by equal prompts of one step', () => {
    const scheduler = create();
    for (let i = 0; i < 3; i++) {
      scheduler.add({ prompt: range(9) });
    }
    expect(shape(next(scheduler))).toEqual([
      [1, 8, 1],
      [2, 8, 1],
      [0, 0, 9],
    ]);
    expect(scheduler.numFreeBlocks).toBe(64 - 2 - 3);
  });
});

describe('preemption', () => {
  it('takes the blocks of the youngest, which waits for its samples and loses nothing', () => {
    const scheduler = create({ numBlocks: 5, contextLength: 20, tokenBudget: 32 });
    const old = scheduler.add({ prompt: range(7) });
    const young = scheduler.add({ prompt: range(3, 40) });
    let flying: ScheduledStep[] = [];
    let token = 100;
    while (young.numPreemptions === 0) {
      flying.push(next(scheduler));
      if (flying.length === 2 && young.numPreemptions === 0) {
        complete(scheduler, flying.shift() ?? expect.fail(), token++);
      }
    }
    expect([old.status, young.status]).toEqual(['running', 'waiting']);
    expect(young.numInFlight).toBe(1);
    const known = young.tokens.length;
    for (const step of flying) {
      complete(scheduler, step, token++);
    }
    expect(young.tokens).toHaveLength(known + 1);
    expect(young.tokens.slice(3)).toEqual(range(known - 2, 100));
    flying = [];
    scheduler.finish(old, 'abort');
    const step = next(scheduler);
    expect(step.entries[0]).toMatchObject({
      request: young,
      isFirst: true,
      kvLength: known + 1,
      samples: true,
      inputFromGpu: false,
    });
    expect(young.numCachedTokens).toBe(0);
  });

  it('keeps the order of arrival: nobody overtakes a preempted request', () => {
    const scheduler = create({ numBlocks: 6, contextLength: 24, maxSequences: 2, tokenBudget: 16 });
    const requests = [range(8), range(8, 20), range(1, 40)].map((prompt) =>
      scheduler.add({ prompt }),
    );
    const ends: Request[] = [];
    while (ends.length < 3) {
      ends.push(
        ...advance(scheduler)
          .filter((e) => e.finishReason)
          .map((e) => e.request),
      );
    }
    expect(ends).toEqual(requests);
    expect(requests[1]?.numPreemptions).toBeGreaterThan(0);
    expect(requests.map(({ tokens }) => tokens.length)).toEqual([25, 25, 25]);
  });

  it('lets a prompt larger than the free blocks wait instead of taking them from a stream', () => {
    const scheduler = create({ numBlocks: 8, contextLength: 32 });
    const stream = scheduler.add({ prompt: range(12), maxTokens: 3 });
    scheduler.add({ prompt: range(28, 50), maxTokens: 1 });
    const seen = [next(scheduler)];
    complete(scheduler, seen[0] ?? expect.fail());
    expect(shape(seen[0] ?? expect.fail())).toEqual([[0, 0, 12]]);
    advance(scheduler);
    expect(advance(scheduler)).toEqual([
      { request: stream, sample: 0, token: 50, finishReason: 'length' },
    ]);
    expect(shape(next(scheduler))).toEqual([[1, 0, 16]]);
    expect(stream.numPreemptions).toBe(0);
  });
});
