import { describe, expect, it } from 'vitest';
import { RequestError } from '../../../../src/util/errors.ts';
import { advance, complete, create, next, range } from './drive.ts';

describe('ends', () => {
  it('with a stop id, which is the last token, and drops the samples past it', () => {
    const scheduler = create({ maxInFlight: 3 });
    const request = scheduler.add({ prompt: [1, 2], stopIds: [9] });
    const steps = [next(scheduler), next(scheduler), next(scheduler)];
    const events = steps.map((step) => complete(scheduler, step, 9));
    expect(events).toEqual([[{ request, token: 9, finishReason: 'stop' }], [], []]);
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

  it('with an error for all when the device is lost, after which new requests run', () => {
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
    expect(advance(scheduler)).toEqual([{ request, token: 50, finishReason: 'length' }]);
    expect(request.numCachedTokens).toBe(0);
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
