import { describe, expect, it } from 'vitest';
import type { BeamGroup } from '../../../../src/engine/core/request.ts';
import type { ScheduledStep } from '../../../../src/engine/core/scheduled_step.ts';
import type { Scheduler } from '../../../../src/engine/core/scheduler.ts';
import { RequestError } from '../../../../src/util/errors.ts';
import { create, next, range, shape } from './drive.ts';

/** Completes a step, whatever was sampled. */
function rounds(scheduler: Scheduler, step: ScheduledStep): readonly BeamGroup[] {
  return scheduler.complete(
    step,
    step.entries.map(() => [50]),
  ).rounds;
}

/** Goes on with one parent for each beam, and a token that names beam and round. */
function goOn(scheduler: Scheduler, group: BeamGroup, parents: readonly number[]): void {
  const { length } = group.requests[0]?.tokens ?? [];
  scheduler.advance(
    group,
    parents.map((parent, i) => ({ parent, token: 100 * length + i })),
  );
}

const blocks = (group: BeamGroup): number[][] => group.requests.map((beam) => [...beam.blocks]);
const tokens = (group: BeamGroup): number[][] => group.requests.map((beam) => beam.tokens);

describe('a round', () => {
  it('is over when all beams have sampled, and nothing of them runs before they advance', () => {
    const scheduler = create({ tokenBudget: 4 });
    const group = scheduler.addBeams({ prompt: [1, 2], maxTokens: 3 }, 3);
    const steps = [next(scheduler), next(scheduler)];
    expect(steps.map(shape)).toEqual([
      [
        [0, 0, 2],
        [1, 0, 2],
      ],
      [[2, 0, 2]],
    ]);
    expect(steps.map(({ entries }) => entries.map(({ isFirst }) => isFirst))).toEqual([
      [true, true],
      [true],
    ]);
    expect(scheduler.schedule()).toBeUndefined();
    expect(steps.map((step) => rounds(scheduler, step))).toEqual([[], [group]]);
    expect(scheduler.schedule()).toBeUndefined();
    goOn(scheduler, group, [1, 1, 0]);
    expect(tokens(group)).toEqual([
      [1, 2, 200],
      [1, 2, 201],
      [1, 2, 202],
    ]);
    const step = next(scheduler);
    expect(shape(step)).toEqual([
      [0, 2, 1],
      [1, 2, 1],
      [2, 2, 1],
    ]);
    expect(step.entries.every(({ inputFromGpu, isFirst }) => !inputFromGpu && !isFirst)).toBe(true);
    expect(rounds(scheduler, step)).toEqual([group]);
    goOn(scheduler, group, [2, 0, 2]);
    expect(tokens(group)).toEqual([
      [1, 2, 202, 300],
      [1, 2, 200, 301],
      [1, 2, 202, 302],
    ]);
  });

  it('shares blocks with the parent, and copies only what is half full and held by others', () => {
    const scheduler = create({ numBlocks: 32 });
    const group = scheduler.addBeams({ prompt: range(6), maxTokens: 6 }, 3);
    rounds(scheduler, next(scheduler));
    const [first = [], second = [], third = []] = blocks(group);
    // The full block of the prompt is one and the same through the prefix cache.
    expect(new Set([first[0], second[0], third[0]]).size).toBe(1);
    goOn(scheduler, group, [2, 2, 2]);
    expect(blocks(group)).toEqual([third, third, third]);
    expect(scheduler.numFreeBlocks).toBe(32 - 2);
    const step = next(scheduler);
    const [a, b, c] = blocks(group).map(([, last]) => last);
    expect(step.copies).toEqual([
      { from: third[1], to: a },
      { from: third[1], to: b },
    ]);
    expect(c).toBe(third[1]);
    rounds(scheduler, step);
    // Position 7 fills the second block, so the round after that begins new ones without a copy.
    goOn(scheduler, group, [0, 1, 2]);
    const filling = next(scheduler);
    expect(filling.copies).toEqual([]);
    rounds(scheduler, filling);
    goOn(scheduler, group, [0, 0, 0]);
    const beginning = next(scheduler);
    expect(beginning.copies).toEqual([]);
    const full = blocks(group);
    expect(full.map((list) => list.slice(0, 2))).toEqual(range(3).map(() => [third[0], a]));
    expect(new Set(full.map((list) => list[2])).size).toBe(3);
    expect(scheduler.numFreeBlocks).toBe(32 - 5);
    scheduler.finishGroup(group, 'stop');
    expect(rounds(scheduler, beginning)).toEqual([]);
    expect(scheduler.numFreeBlocks).toBe(32);
    expect(group.requests.map(({ finishReason }) => finishReason)).toEqual(
      range(3).map(() => 'stop'),
    );
  });

  it('ends with the group when one beam is aborted, in whatever state', () => {
    const scheduler = create({ maxSequences: 4 });
    const running = scheduler.addBeams({ prompt: [1], maxTokens: 4 }, 3);
    const waiting = scheduler.addBeams({ prompt: [1], maxTokens: 4 }, 3);
    const step = next(scheduler);
    expect([scheduler.numRunning, scheduler.numWaiting]).toEqual([3, 3]);
    for (const group of [running, waiting]) {
      scheduler.finish(group.requests[1] ?? expect.fail(), 'abort');
      expect(group.requests.map(({ status }) => status)).toEqual(range(3).map(() => 'finished'));
    }
    expect(rounds(scheduler, step)).toEqual([]);
    expect([scheduler.numFreeBlocks, scheduler.numRunning, scheduler.numWaiting]).toEqual([
      64, 0, 0,
    ]);
  });
});

describe('preempted beams', () => {
  it('end their round with the samples in flight, and recompute what they went on with', () => {
    const scheduler = create({ numBlocks: 5, pageSize: 2, contextLength: 10, maxInFlight: 5 });
    const stream = scheduler.add({ prompt: [1, 2, 3] });
    const group = scheduler.addBeams({ prompt: [9], maxTokens: 4 }, 2);
    // The stream grows over the blocks of the beams while their first samples are under way.
    const steps = range(5).map(() => next(scheduler));
    expect(steps.map(shape)).toEqual([
      [
        [1, 0, 1],
        [2, 0, 1],
        [0, 0, 3],
      ],
      [[0, 3, 1]],
      [[0, 4, 1]],
      [[0, 5, 1]],
      [[0, 6, 1]],
    ]);
    expect(group.requests.map(({ status }) => status)).toEqual(['waiting', 'waiting']);
    expect(steps.slice(0, 1).map((step) => rounds(scheduler, step))).toEqual([[group]]);
    scheduler.finish(stream, 'abort');
    expect(scheduler.schedule()).toBeUndefined();
    goOn(scheduler, group, [1, 0]);
    const again = next(scheduler);
    expect(shape(again)).toEqual([
      [1, 0, 2],
      [2, 0, 2],
    ]);
    expect(again.entries.every(({ isFirst, samples }) => isFirst && samples)).toBe(true);
    for (const step of steps.slice(1)) {
      expect(rounds(scheduler, step)).toEqual([]);
    }
    expect(rounds(scheduler, again)).toEqual([group]);
  });

  it('begin a round anew in which only some had sampled', () => {
    const scheduler = create({ numBlocks: 5, pageSize: 2, contextLength: 12 });
    const stream = scheduler.add({ prompt: [1, 2, 3] });
    const group = scheduler.addBeams({ prompt: [9, 9], maxTokens: 3 }, 2);
    expect(rounds(scheduler, next(scheduler))).toEqual([group]);
    goOn(scheduler, group, [0, 1]);
    const partial = next(scheduler);
    expect(shape(partial)).toEqual([
      [0, 3, 1],
      [1, 2, 1],
    ]);
    expect(rounds(scheduler, partial)).toEqual([]);
    while (stream.tokens.length < 10) {
      const step = next(scheduler);
      expect(step.entries.map(({ request }) => request)).toEqual([stream]);
      rounds(scheduler, step);
    }
    scheduler.finish(stream, 'stop');
    const again = next(scheduler);
    // The second beam finds what it has in common with the first, as far as that fills blocks.
    expect(shape(again)).toEqual([
      [2, 2, 1],
      [1, 0, 3],
    ]);
    expect(rounds(scheduler, again)).toEqual([group]);
  });

  it('wait again when the device is lost, with the tokens of the last round', () => {
    const scheduler = create();
    const group = scheduler.addBeams({ prompt: [1], maxTokens: 5 }, 2);
    rounds(scheduler, next(scheduler));
    goOn(scheduler, group, [1, 1]);
    next(scheduler);
    scheduler.startOver();
    expect([scheduler.numFreeBlocks, scheduler.numWaiting]).toEqual([64, 2]);
    const step = next(scheduler);
    expect(shape(step)).toEqual([
      [0, 0, 2],
      [1, 0, 2],
    ]);
    expect(rounds(scheduler, step)).toEqual([group]);
    goOn(scheduler, group, [1, 0]);
    expect(tokens(group)).toEqual([
      [1, 101, 200],
      [1, 100, 201],
    ]);
    scheduler.startOver();
    expect(scheduler.failAll()).toEqual(group.requests);
  });
});

describe('beams that cannot run', () => {
  it.each([
    { numBeams: 5, maxTokens: 3, message: 'numBeams is 5, but at most 4 sequences run at once' },
    { numBeams: 0, maxTokens: 3, message: 'numBeams is 0, expected a positive integer' },
    { numBeams: 1.5, maxTokens: 3, message: 'numBeams is 1.5' },
    {
      numBeams: 4,
      maxTokens: 13,
      message:
        "4 beams of 4 tokens and up to 13 more need 4 times 4 pages and 0 for the encoder's output, " +
        'the KV cache has 15; ask for at most 9 tokens, use fewer beams or load the model with more kvTokens',
    },
    { numBeams: 4, maxTokens: undefined, message: 'up to 61 more need 4 times 16 pages' },
  ])('are refused: $message', ({ numBeams, maxTokens, message }) => {
    const scheduler = create({ numBlocks: 15 });
    const add = (): BeamGroup => scheduler.addBeams({ prompt: range(4), maxTokens }, numBeams);
    expect(add).toThrow(RequestError);
    expect(add).toThrow(message);
    expect(scheduler.numWaiting).toBe(0);
  });

  it('are refused with a sliding window', () => {
    const scheduler = create({ window: 8 });
    expect(() => scheduler.addBeams({ prompt: [1] }, 2)).toThrow(RequestError);
  });

  it('fit when the message says so', () => {
    const scheduler = create({ numBlocks: 15 });
    expect(scheduler.addBeams({ prompt: range(4), maxTokens: 9 }, 4).requests).toHaveLength(4);
  });

  it('are not advanced with a wrong number of choices, a parent that is none, too early or too late', () => {
    const scheduler = create();
    const group = scheduler.addBeams({ prompt: [1], maxTokens: 2 }, 2);
    const choice = { parent: 0, token: 7 };
    expect(() => scheduler.advance(group, [choice, choice])).toThrow('between rounds');
    rounds(scheduler, next(scheduler));
    expect(() => scheduler.advance(group, [choice])).toThrow('1 choices for a group of 2 beams');
    expect(() => scheduler.advance(group, [choice, { parent: 2, token: 7 }])).toThrow(Error);
    scheduler.advance(group, [choice, choice]);
    expect(() => scheduler.advance(group, [choice, choice])).toThrow('between rounds');
    rounds(scheduler, next(scheduler));
    expect(() => scheduler.advance(group, [choice, choice])).toThrow('maxLength 3');
    scheduler.finishGroup(group, 'length');
    expect(() => scheduler.advance(group, [choice, choice])).toThrow(Error);
  });
});
