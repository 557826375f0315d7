import { describe, expect, it } from 'vitest';
import { lookUp } from '../../../../src/engine/core/prompt_lookup.ts';

describe('lookUp', () => {
  it('finds what followed the last tokens before', () => {
    expect(lookUp([1, 2, 3, 4, 5, 9, 1, 2, 3], 2)).toEqual([4, 5]);
  });

  it('prefers the longest run, and of equals the latest', () => {
    const longer = [7, 1, 2, 30, 8, 1, 2, 40, 7, 1, 2];
    expect(lookUp(longer, 1)).toEqual([30]);
    const equal = [1, 2, 30, 8, 1, 2, 40, 9, 1, 2];
    expect(lookUp(equal, 1)).toEqual([40]);
  });

  it('goes on into its own guess where a period repeats', () => {
    expect(lookUp([9, 1, 2, 3, 1, 2, 3], 7)).toEqual([1, 2, 3, 1, 2, 3, 1]);
    expect(lookUp([4, 4, 4], 3)).toEqual([4, 4, 4]);
  });

  it('finds nothing for a single token, or where nothing repeats', () => {
    expect(lookUp([1, 2, 3, 1], 4)).toEqual([]);
    expect(lookUp([1, 2, 3, 4], 4)).toEqual([]);
    expect(lookUp([1], 4)).toEqual([]);
    expect(lookUp([], 4)).toEqual([]);
  });

  it('compares no more than the run it needs', () => {
    // The latest of two runs that are both long enough, though the first is longer.
    const run = [1, 2, 3, 4, 5, 6, 7, 8];
    expect(lookUp([0, ...run, 50, 9, ...run, 60, 0, ...run], 1)).toEqual([60]);
  });
});
