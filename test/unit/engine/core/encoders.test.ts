import { describe, expect, it } from 'vitest';
import type { RequestOptions } from '../../../../src/engine/core/request.ts';
import type { Scheduler } from '../../../../src/engine/core/scheduler.ts';
import type { SchedulerOptions } from '../../../../src/engine/core/scheduler_options.ts';
import { RequestError } from '../../../../src/util/errors.ts';
import { advance, complete, create, next, range, shape } from './drive.ts';

const withEncoder = (options: Partial<SchedulerOptions> = {}): Scheduler =>
  create({ maxEncoderInput: 30, ...options });

describe('encoder inputs', () => {
  it('run in the step that admits their request, once, into pages of their own', () => {
    const scheduler = withEncoder();
    expect(scheduler.crossTableWidth).toBe(8);
    const request = scheduler.add({ prompt: [1], encoderInput: range(9), maxTokens: 2 });
    const step = next(scheduler);
    expect(step.encodes).toEqual([request]);
    expect(scheduler.numFreeBlocks).toBe(64 - 3 - 1);
    expect(new Set([...request.crossBlocks, ...request.blocks]).size).toBe(4);
    const row = new Uint32Array(8).fill(9);
    scheduler.fillCrossTableRow(request, row);
    expect([...row]).toEqual([...request.crossBlocks, 0, 0, 0, 0, 0]);
    complete(scheduler, step);
    expect(next(scheduler).encodes).toEqual([]);
    scheduler.finish(request, 'abort');
    expect([scheduler.numFreeBlocks, request.crossBlocks]).toEqual([64, []]);
  });

  it('run once for all beams of a group', () => {
    const scheduler = withEncoder();
    const { requests } = scheduler.addBeams(
      { prompt: [1], encoderInput: range(9), maxTokens: 2 },
      3,
    );
    expect(next(scheduler).encodes).toEqual(requests.slice(0, 1));
    expect(requests.map(({ crossBlocks }) => crossBlocks)).toEqual(
      requests.map(() => requests[0]?.crossBlocks),
    );
    expect(scheduler.numFreeBlocks).toBe(64 - 3 - 3);
  });

  it('run again after a preemption', () => {
    const scheduler = withEncoder();
    const request = scheduler.add({ prompt: [1], encoderInput: [5] });
    advance(scheduler);
    scheduler.startOver();
    expect(next(scheduler).encodes).toEqual([request]);
  });

  it('keep within the budget of a step, but a longer one is alone', () => {
    const scheduler = withEncoder({ encoderBudget: 10, maxSequences: 8 });
    for (const size of [4, 6, 1, 20, 1, 9]) {
      scheduler.add({ prompt: [1], encoderInput: range(size) });
    }
    const sizes = range(4).map(() => {
      const step = next(scheduler);
      complete(scheduler, step);
      return step.encodes.map(({ encoderInput }) => encoderInput?.length);
    });
    expect(sizes).toEqual([[4, 6], [1], [20], [1, 9]]);
  });

  it('keep requests apart whose prompts are alike, unless the inputs are too', () => {
    const scheduler = withEncoder({ tokenBudget: 20 });
    for (const encoderInput of [
      [5, 6],
      [5, 7],
      [5, 6],
    ]) {
      scheduler.add({ prompt: range(9), encoderInput, maxTokens: 1 });
    }
    expect(shape(next(scheduler))).toEqual([
      [2, 8, 1],
      [0, 0, 9],
      [1, 0, 9],
    ]);
  });

  it.each<{ options: RequestOptions; message: string; isDecoderOnly?: boolean }>([
    { options: { prompt: [1] }, message: 'the encoder input has 0 tokens, expected 1 to 30' },
    {
      options: { prompt: [1], encoderInput: [] },
      message: 'has 0 tokens, expected 1 to 30',
    },
    {
      options: { prompt: [1], encoderInput: range(31) },
      message: 'has 31 tokens, expected 1 to 30; shorten it',
    },
    {
      options: { prompt: [1], encoderInput: [1] },
      message: 'an encoder input of 1 tokens, but the model has no encoder',
      isDecoderOnly: true,
    },
    {
      options: { prompt: range(13), encoderInput: range(29) },
      message:
        'the prompt has 13 tokens, the KV cache holds 8 beside an encoder input of 29; shorten one of them',
    },
  ])('are refused: $message', ({ options, message, isDecoderOnly = false }) => {
    const scheduler = create({ numBlocks: 10, ...(!isDecoderOnly && { maxEncoderInput: 30 }) });
    expect(() => scheduler.add(options)).toThrow(RequestError);
    expect(() => scheduler.add(options)).toThrow(message);
    expect(() => scheduler.addBeams({ ...options, maxTokens: 1 }, 1)).toThrow(RequestError);
  });

  it('shorten what can be generated where the cache is small', () => {
    const scheduler = withEncoder({ numBlocks: 10 });
    const request = scheduler.add({ prompt: range(8), encoderInput: range(29) });
    expect(request.maxLength).toBe(9);
    expect(advance(scheduler)).toEqual([{ request, sample: 0, token: 50, finishReason: 'length' }]);
  });
});

describe('a reactive request', () => {
  it('is not in a step while its sample is in flight, and disturbs no other', () => {
    const scheduler = create();
    scheduler.add({ prompt: [1, 2], isReactive: true });
    scheduler.add({ prompt: [3] });
    const steps = [next(scheduler), next(scheduler)];
    expect(steps.map(shape)).toEqual([
      [
        [1, 0, 1],
        [0, 0, 2],
      ],
      [[1, 1, 1]],
    ]);
    for (const step of steps) {
      complete(scheduler, step);
    }
    const step = next(scheduler);
    expect(shape(step)).toEqual([
      [0, 2, 1],
      [1, 2, 1],
    ]);
    expect(step.entries[0]?.inputFromGpu).toBe(false);
  });
});
