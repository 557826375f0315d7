import { describe, expect, it } from 'vitest';
import { geometricMean, hold, relativeError, type Contest } from '../../../peers/contest.ts';

const sample = (ms: number): { readonly wallMs: number; readonly cpuMs: number } => ({
  wallMs: ms,
  cpuMs: ms / 2,
});

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
    const entry = { group: 'model', name: 'tiny', open: async () => contestOf(0, calls) };
    const [outcome, ...others] = await hold(entry, 3, 1e-3);
    expect(others).toEqual([]);
    expect(calls).toEqual([
      ...[0, 1, 2, 3].flatMap((round) => [`quern ${round}`, `peer ${round}`]),
      'dispose',
    ]);
    expect(outcome).toMatchObject({
      group: 'model prefill',
      unit: 'tokens/s',
      quernPerSecond: { median: 500, min: 250, max: 1000 },
      // Ratios of pairs: 2, 3 and 1; not those of the medians.
      wallRatio: { median: 2, min: 1, max: 3 },
      cpuRatio: { median: 2, min: 1, max: 3 },
    });
  });

  it.each([0.01, Number.NaN])('refuses outputs that differ by %f', async (error) => {
    const calls: string[] = [];
    const entry = { group: '', name: 'tiny', open: async () => contestOf(error, calls) };
    await expect(hold(entry, 3, 1e-3)).rejects.toThrow(/tiny: the outputs differ by/);
    expect(calls).toEqual(['dispose']);
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
