import { describe, expect, it } from 'vitest';
import { RequestError } from '../../../../src/util/errors.ts';
import { advance, complete, create, next, range, shape } from './drive.ts';

describe('ends', () => {
  it('with a stop id, which is the last token, and drops the samples past it', () => {
    const scheduler = create({ maxInFlight: 3 });
    const request = scheduler.add({ prompt: [1, 2], stopIds: [9] });
    const steps = [next(scheduler), next(scheduler), next(scheduler)];
    const events = steps.map((step) => complete(scheduler, step, 9));
    expect(events).toEqual([[{ request, sample: 0, token: 9, finishReason: 'stop' }], [], []]);
    expect(request.tokens).toEqual([1, 2, 9]);
    expect(scheduler.numFreeBlocks).toBe(64);
  });

  it('with the length, and plans no step past it', () => {
    const scheduler = create({ maxInFlight: 3 });
    scheduler.add({ prompt: [1, 2], maxTokens: 2 });
    const steps = [next(scheduler), next(scheduler)];
    expect(scheduler.schedule()).toBeUndefined();
    expect(
      steps.flatMap((step) => complete(scheduler, step)).map((event) => event.finishReason),
    ).toEqual([undefined, 'length']);
  });

  it('with a full context, of which every position is used', () => {
    const scheduler = create({ contextLength: 6 });
    const request = scheduler.add({ prompt: range(4) });
    const full = scheduler.add({ prompt: range(6, 100) });
    let last = 0;
    for (let step = scheduler.schedule(); step !== undefined; step = scheduler.schedule()) {
      last = Math.max(last, ...step.entries.map((entry) => entry.kvLength));
      complete(scheduler, step);
    }
    expect(last).toBe(6);
    expect(
      [request, full].map(({ tokens, finishReason }) => [tokens.length, finishReason]),
    ).toEqual([
      [7, 'length'],
      [7, 'length'],
    ]);
  });

  it.each(['waiting', 'running', 'in flight'])(
    'at once when finished from outside while %s',
    (state) => {
      const scheduler = create({ maxSequences: 1 });
      const other = scheduler.add({ prompt: [8] });
      if (state !== 'waiting') {
        scheduler.finish(other, 'abort');
      }
      const request = scheduler.add({ prompt: range(9) });
      const step = next(scheduler);
      if (state === 'running') {
        complete(scheduler, step);
      }
      scheduler.finish(request, 'abort');
      scheduler.finish(request, 'stop');
      expect([request.status, request.finishReason, request.slot]).toEqual([
        'finished',
        'abort',
        -1,
      ]);
      expect(scheduler.numFreeBlocks).toBe(state === 'waiting' ? 63 : 64);
      if (state !== 'running') {
        expect(complete(scheduler, step).map((event) => event.request)).toEqual(
          state === 'waiting' ? [other] : [],
        );
      }
    },
  );

  it('with an error for all when the device is lost for good, after which new requests run', () => {
    const scheduler = create({ maxSequences: 1 });
    const running = scheduler.add({ prompt: range(8) });
    const waiting = scheduler.add({ prompt: [2] });
    const stale = next(scheduler);
    expect(scheduler.failAll()).toEqual([running, waiting]);
    expect([running.finishReason, waiting.finishReason]).toEqual(['error', 'error']);
    expect([scheduler.numFreeBlocks, scheduler.numCachedBlocks, scheduler.numInFlight]).toEqual([
      64, 0, 0,
    ]);
    expect(() => complete(scheduler, stale)).toThrow(
      'step 0 came back with 1 ids, expected step none',
    );
    const request = scheduler.add({ prompt: range(8), maxTokens: 1 });
    expect(advance(scheduler)).toEqual([{ request, sample: 0, token: 50, finishReason: 'length' }]);
    expect(request.numCachedTokens).toBe(0);
  });
});

describe('a lost device', () => {
  it('is made up for: requests run again from the tokens that came back, in order of arrival', () => {
    const scheduler = create({ maxSequences: 2, maxInFlight: 3 });
    const first = scheduler.add({ prompt: range(5), maxTokens: 3 });
    const second = scheduler.add({ prompt: [7], maxTokens: 2 });
    const waiting = scheduler.add({ prompt: [8], maxTokens: 1 });
    advance(scheduler);
    const stale = [next(scheduler), next(scheduler)];
    expect([first.numInFlight, second.numInFlight]).toEqual([2, 1]);
    scheduler.startOver();
    const { numRunning, numWaiting, numInFlight, numFreeBlocks, numCachedBlocks } = scheduler;
    expect({ numRunning, numWaiting, numInFlight, numFreeBlocks, numCachedBlocks }).toEqual({
      numRunning: 0,
      numWaiting: 3,
      numInFlight: 0,
      numFreeBlocks: 64,
      numCachedBlocks: 0,
    });
    for (const step of stale) {
      expect(() => complete(scheduler, step)).toThrow('expected step none');
    }
    const step = next(scheduler);
    expect(shape(step)).toEqual([
      [first.id, 0, 6],
      [second.id, 0, 2],
    ]);
    expect(step.entries.every(({ isFirst, samples }) => isFirst && samples)).toBe(true);
    expect(complete(scheduler, step, 51)).toEqual([
      { request: first, sample: 0, token: 51, finishReason: undefined },
      { request: second, sample: 0, token: 51, finishReason: 'length' },
    ]);
    expect([first.tokens, second.tokens]).toEqual([
      [...range(5), 50, 51],
      [7, 50, 51],
    ]);
    expect(shape(next(scheduler))).toEqual([
      [first.id, 6, 1],
      [waiting.id, 0, 1],
    ]);
  });

  it('changes neither what the cache spared nor an idle scheduler', () => {
    const scheduler = create();
    scheduler.add({ prompt: range(9), maxTokens: 1 });
    advance(scheduler);
    const request = scheduler.add({ prompt: range(9), maxTokens: 2 });
    next(scheduler);
    expect(request.numCachedTokens).toBe(8);
    scheduler.startOver();
    advance(scheduler);
    expect(request.numCachedTokens).toBe(8);
    advance(scheduler);
    scheduler.startOver();
    expect(scheduler.schedule()).toBeUndefined();
    expect([scheduler.numFreeBlocks, scheduler.numCachedBlocks]).toEqual([64, 0]);
  });
});

describe('bad input', () => {
  it.each([
    {
      options: { prompt: [] },
      message: 'request: the prompt is empty, expected at least one token',
    },
    { options: { prompt: range(65) }, message: 'the prompt has 65 tokens, the context holds 64' },
    {
      options: { prompt: [1], maxTokens: 0 },
      message: 'maxTokens is 0, expected a positive integer',
    },
    { options: { prompt: [1], maxTokens: NaN }, message: 'maxTokens is NaN' },
    { options: { prompt: [1], maxTokens: 1.5 }, message: 'maxTokens is 1.5' },
    { options: { prompt: [1], cacheSalt: 0.5 }, message: 'cacheSalt is 0.5' },
    { options: { prompt: [1], cacheLimit: -1 }, message: 'cacheLimit -1' },
  ])('$message', ({ options, message }) => {
    const scheduler = create();
    expect(() => scheduler.add(options)).toThrow(RequestError);
    expect(() => scheduler.add(options)).toThrow(message);
    expect(scheduler.numWaiting).toBe(0);
  });

  it('names the pool when that is what is too small', () => {
    const scheduler = create({ numBlocks: 3 });
    expect(scheduler.capacity).toBe(12);
    expect(() => scheduler.add({ prompt: range(13) })).toThrow('13 tokens, the KV cache holds 12');
  });

  it.each([
    'numBlocks',
    'pageSize',
    'contextLength',
    'window',
    'maxSequences',
    'tokenBudget',
    'maxInFlight',
  ])('refuses %s of 0, -1, 1.5 and NaN', (name) => {
    for (const value of [0, -1, 1.5, NaN]) {
      expect(() => create({ [name]: value })).toThrow(RequestError);
      expect(() => create({ [name]: value })).toThrow(`scheduler: ${name} is ${value}`);
    }
  });

  it('refuses a budget that would starve a stream', () => {
    expect(() => create({ tokenBudget: 3 })).toThrow(
      'tokenBudget is 3, expected at least maxSequences (4)',
    );
  });

  it('refuses results out of order or too few', () => {
    const scheduler = create();
    scheduler.add({ prompt: [1] });
    const first = next(scheduler);
    const second = next(scheduler);
    expect(() => complete(scheduler, second)).toThrow('expected step 0');
    expect(() => scheduler.complete(first, [])).toThrow('came back with 0 ids');
    complete(scheduler, first);
    complete(scheduler, second);
  });
});
