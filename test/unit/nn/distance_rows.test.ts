import { describe, expect, it } from 'vitest';
import { distanceRows } from '../../../src/nn/distance_rows.ts';
import { ConfigError } from '../../../src/util/errors.ts';

/** The row of a distance, as the kernels look it up. */
function lookUp(buckets: number, maxDistance: number): (distance: number) => number | undefined {
  const rows = distanceRows(buckets, maxDistance);
  const reach = (rows.length - 1) / 2;
  return (distance) => rows[Math.max(-reach, Math.min(reach, distance)) + reach];
}

/** Where a new row begins as the distance grows from `from` to `to`, in steps of ±1. */
function borders(
  row: (distance: number) => number | undefined,
  from: number,
  to: number,
): number[] {
  const step = Math.sign(to - from);
  return Array.from({ length: Math.abs(to - from) }, (_, i) => from + step * (i + 1)).filter(
    (distance) => row(distance) !== row(distance - step),
  );
}

// Expected values: make_log_bucket_position of Hugging Face Transformers 5.18.
describe('distanceRows', () => {
  it('spreads far distances over logarithmic buckets', () => {
    const row = lookUp(256, 512);
    expect([-128, -1, 0, 1, 128].map(row)).toEqual([128, 255, 256, 257, 384]);
    expect(borders(row, -128, 128)).toHaveLength(256);
    const far = [
      129, 130, 131, 133, 134, 136, 137, 139, 140, 142, 143, 145, 146, 148, 150, 151, 153, 155, 156,
      158, 160, 161, 163, 165, 167, 169, 170, 172, 174, 176, 178, 180, 182, 184, 186, 188, 190, 192,
      194, 196, 198, 201, 203, 205, 207, 210, 212, 214, 216, 219, 221, 224, 226, 229, 231, 234, 236,
      239, 241, 244, 247, 249, 252, 255, 258, 260, 263, 266, 269, 272, 275, 278, 281, 284, 287, 290,
      294, 297, 300, 303, 307, 310, 313, 317, 320, 324, 327, 331, 335, 338, 342, 346, 349, 353, 357,
      361, 365, 369, 373, 377, 381, 385, 390, 394, 398, 403, 407, 411, 416, 420, 425, 430, 434, 439,
      444, 449, 454, 459, 464, 469, 474, 479, 484, 490, 495, 500, 506,
    ];
    expect(borders(row, 128, 9000)).toEqual(far);
    expect(borders(row, -128, -9000)).toEqual([...far, 512].map((distance) => -distance));
    expect([row(9000), row(-9000)]).toEqual([511, 0]);
  });

  it('lets buckets of an odd number go on after the last distance', () => {
    const row = lookUp(7, 33);
    expect(borders(row, 0, 5000)).toEqual([1, 2, 3, 4, 10, 33]);
    expect(borders(row, 0, -5000)).toEqual([-1, -2, -3, -4, -10, -33, -105]);
    expect([-5000, 0, 5000].map(row)).toEqual([0, 7, 13]);
  });

  it('rounds as the reference does, in f32', () => {
    // 625 = 5 · 5^3: in float64 the quotient of the logarithms is above 3 / 4 by one bit.
    expect([625, 626].map(lookUp(10, 3126))).toEqual([18, 19]);
  });

  it.each([0, -1])('has a row for each distance with position_buckets %i', (buckets) => {
    const row = lookUp(buckets, 40);
    expect([-90, -41, -40, -39, 0, 38, 39, 40, 90].map(row)).toEqual([
      0, 0, 0, 1, 40, 78, 79, 79, 79,
    ]);
  });

  it.each([
    [1, 512],
    [64, 33],
    [64, 32],
  ])('refuses %i buckets up to a distance of %i', (buckets, maxDistance) => {
    expect(() => distanceRows(buckets, maxDistance)).toThrow(ConfigError);
  });
});
