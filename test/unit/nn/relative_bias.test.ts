import { describe, expect, it } from 'vitest';
import { exactBuckets, relativeBias, relativeBuckets } from '../../../src/nn/relative_bias.ts';
import { fakeWeights } from '../../support/fake_weights.ts';

/**
 * Distances at which a bucket begins that holds more than one, as Transformers 5.18 with PyTorch 2.13 puts them for
 * keys before the query.
 */
const STARTS: readonly (readonly [
  bidirectional: boolean,
  buckets: number,
  maxDistance: number,
  starts: readonly number[],
])[] = [
  [true, 32, 128, [8, 12, 16, 23, 32, 46, 64, 91]],
  [false, 32, 128, [16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113]],
  [true, 8, 20, [2, 7]],
  [false, 8, 20, [4, 6, 9, 14]],
  [true, 33, 100, [8, 11, 16, 21, 29, 39, 54, 73]],
  [false, 12, 64, [6, 9, 14, 20, 30, 44]],
  [true, 5, 7, [1]],
  [false, 2, 2, [1]],
];

describe('relativeBuckets', () => {
  it.each(STARTS)('bidirectional %s, %i buckets, to distance %i', (...row) => {
    const [bidirectional, buckets, maxDistance, starts] = row;
    const options = { bidirectional, buckets, maxDistance };
    const exact = exactBuckets(options);
    const expected = (distance: number): number =>
      distance < exact ? distance : exact - 1 + starts.filter((start) => start <= distance).length;

    const table = relativeBuckets(options);
    expect(table).toHaveLength(2 * maxDistance + 1);
    for (let distance = 0; distance <= maxDistance; distance++) {
      expect(table[maxDistance - distance], `key ${distance} before`).toBe(expected(distance));
      if (distance === 0) continue;
      const after = bidirectional ? Math.floor(buckets / 2) + expected(distance) : 0;
      expect(table[maxDistance + distance], `key ${distance} after`).toBe(after);
    }
  });

  it('uses the last bucket of each side at the largest distance, and none past them', () => {
    for (const bidirectional of [true, false]) {
      for (let buckets = bidirectional ? 4 : 2; buckets < 70; buckets++) {
        const perSide = bidirectional ? Math.floor(buckets / 2) : buckets;
        for (const maxDistance of [exactBuckets({ bidirectional, buckets }) + 1, 50, 128]) {
          const table = relativeBuckets({ bidirectional, buckets, maxDistance });
          expect(table[0]).toBe(perSide - 1);
          expect(table.at(-1)).toBe(bidirectional ? 2 * perSide - 1 : 0);
          expect(Math.max(...table)).toBeLessThan(buckets);
        }
      }
    }
  });
});

describe('relativeBias', () => {
  it('is a table over distances, made of one row per bucket', () => {
    const { weights, asked } = fakeWeights();
    const options = { heads: 3, buckets: 8, maxDistance: 20, bidirectional: true };
    const { table, reach } = relativeBias(weights.at('attention'), 'bias.weight', options);
    expect(asked).toEqual(['attention.bias.weight [8, 3]']);
    expect(reach).toBe(20);
    expect(table.shape).toEqual([41, 3]);
  });
});
