import { describe, expect, it } from 'vitest';
import type { Arena } from '../../../peers/arena.ts';
import { Clock } from '../../../peers/clock.ts';
import {
  geometricMean,
  hold,
  relativeError,
  type Contest,
  type Entry,
} from '../../../peers/contest.ts';

const sample = (ms: number): { readonly wallMs: number; readonly cpuMs: number } => ({
  wallMs: ms,
  cpuMs: ms / 2,
});

const refuse = (): never => {
  throw new Error('none of these contests opens a device');
};
const ARENA: Arena = { clock: new Clock(() => 0), openDevice: refuse, openPeer: refuse };

function entryOf(group: string, contest: Contest): Entry {
  return { group, name: 'tiny', peer: 'another', open: async () => contest };
}

function contestOf(error: number, calls: string[] = []): Contest {
  return {
    amounts: { prefill: { count: 100, unit: 'tokens' } },
    error,
    async quern(round) {
      calls.push(`quern ${round}`);
      return { prefill: sample([1, 100, 200, 400][round] ?? Number.NaN) };
    },
    async peer(round) {
      calls.push(`peer ${round}`);
      return { prefill: sample([1, 200, 600, 400][round] ?? Number.NaN) };
    },
    async dispose() {
      calls.push('dispose');
    },
  };
}

describe('a contest', () => {
  it('measures in turn, and does not count the first round', async () => {
    const calls: string[] = [];
    const entry = entryOf('model', contestOf(0, calls));
    const [outcome, ...others] = await hold(entry, ARENA, 3);
    expect(others).toEqual([]);
    expect(calls).toEqual([
      ...[0, 1, 2, 3].flatMap((round) => [`quern ${round}`, `peer ${round}`]),
      'dispose',
    ]);
    expect(outcome).toMatchObject({
      group: 'model prefill',
      peer: 'another',
      unit: 'tokens/s',
      quernPerSecond: { median: 500, min: 250, max: 1000 },
      // Ratios of pairs: 2, 3 and 1; not those of the medians.
      wallRatio: { median: 2, min: 1, max: 3 },
      cpuRatio: { median: 2, min: 1, max: 3 },
    });
  });

  it.each([0.01, Number.NaN])('refuses outputs that differ by %f', async (error) => {
    const calls: string[] = [];
    const entry = entryOf('', contestOf(error, calls));
    await expect(hold(entry, ARENA, 3)).rejects.toThrow(/tiny: the outputs differ by/);
    expect(calls).toEqual(['dispose']);
  });

  it('has no ratio of CPU times where they are not known', async () => {
    const unknown = { wallMs: 1, cpuMs: Number.NaN };
    const contest = { ...contestOf(0), quern: async () => ({ prefill: unknown }) };
    const [outcome] = await hold(entryOf('', contest), ARENA, 1);
    expect(outcome).not.toHaveProperty('cpuRatio');
  });
});

describe('the error of outputs', () => {
  it('is relative to the largest', () => {
    expect(relativeError([1, -4.5], [1, -4])).toBe(0.125);
  });

  it('is no number where an output is none, or is missing', () => {
    expect(relativeError([Number.NaN, 1], [1, 1])).toBeNaN();
    expect(relativeError([1, Number.NaN, 1], [1, 1, 1])).toBeNaN();
    expect(relativeError([1], [1, 1])).toBeNaN();
  });
});

it('means of ratios are geometric', () => {
  expect(geometricMean([2, 8])).toBeCloseTo(4);
});
