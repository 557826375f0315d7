/**
 * Relative position bias of T5: a learned number per head and bucket of distances, added to the attention scores.
 *
 * Of n buckets, the bidirectional form gives half to keys after the query. Half of the rest, m, hold one distance
 * each; the others grow with the logarithm of the distance d:
 *
 *   bucket(d) = d                                                    for d < m
 *   bucket(d) = min(n - 1, m + ⌊ln(d / m) / ln(maxDistance / m) · (n - m)⌋)  otherwise
 *
 * Raffel et al. 2020, arXiv:1910.10683, section 2.1.
 *
 * @module
 */
import type { RelativeBias } from '../kernels/attention.ts';
import type { WeightScope } from '../weights/scope.ts';

export interface RelativeBuckets {
  readonly buckets: number;
  /** Distance from which on all keys share a bucket; more than {@link exactBuckets}. */
  readonly maxDistance: number;
  /** Whether a query sees keys after it too. */
  readonly bidirectional: boolean;
}

/** Buckets on one side that hold one distance each: m of the formula, at least 1 where the bias is usable. */
export function exactBuckets(options: Pick<RelativeBuckets, 'buckets' | 'bidirectional'>): number {
  return Math.floor(bucketsPerSide(options) / 2);
}

/**
 * The bias as a table over distances, for `attention`.
 *
 * @param name - tensor [buckets, heads] of the scope
 * @throws {WeightFileError} if the tensor is missing or has another shape
 */
export function relativeBias(
  w: WeightScope,
  name: string,
  options: RelativeBuckets & { readonly heads: number },
): RelativeBias {
  const rowOf = relativeBuckets(options);
  return {
    table: w.rowTable(name, options.buckets, options.heads, rowOf),
    reach: options.maxDistance,
  };
}

/**
 * Bucket of each distance key - query from -maxDistance to maxDistance; farther ones are in those at the ends.
 *
 * In float32, since its rounding decides where a bucket ends: the weights were trained with it.
 */
export function relativeBuckets(options: RelativeBuckets): Uint32Array {
  const { maxDistance, bidirectional } = options;
  const perSide = bucketsPerSide(options);
  const exact = exactBuckets(options);
  const { fround, log } = Math;
  const widest = fround(log(maxDistance / exact));
  const bucketOf = (distance: number): number => {
    if (distance < exact) return distance;
    const part = fround(fround(log(fround(distance / exact))) / widest);
    return Math.min(perSide - 1, exact + Math.floor(fround(part * (perSide - exact))));
  };
  return Uint32Array.from({ length: 2 * maxDistance + 1 }, (_, i) => {
    const distance = i - maxDistance;
    if (!bidirectional) return bucketOf(Math.max(0, -distance));
    return bucketOf(Math.abs(distance)) + (distance > 0 ? perSide : 0);
  });
}

function bucketsPerSide({ buckets, bidirectional }: Omit<RelativeBuckets, 'maxDistance'>): number {
  return bidirectional ? Math.floor(buckets / 2) : buckets;
}
