import { ConfigError } from '../util/errors.ts';

/** Farthest distance that is told from farther ones where buckets never end. */
const MAX_REACH = 65_535;

/**
 * Rows of DeBERTa's tables of relative positions, for `disentangledAttention`: entry reach + d for a query that is d
 * tokens after the key, d = -reach … reach, where all farther distances share the outermost row.
 *
 * Row `span + d` without buckets. With them, half as many distances on either side have rows of their own, and the rest
 * of the rows is spread over the farther ones by their logarithm. `make_log_bucket_position` of Hugging Face Transformers;
 * in f32 as there, since its rounding decides where a bucket ends.
 *
 * @param buckets - `position_buckets`: rows on either side, `span`; none if not positive
 * @param maxDistance - `max_relative_positions`: where the last bucket begins; `span` if there are no buckets
 * @throws {ConfigError} if the distances leave no room for buckets
 */
export function distanceRows(buckets: number, maxDistance: number): Uint32Array<ArrayBuffer> {
  const hasBuckets = buckets > 0;
  const span = hasBuckets ? buckets : maxDistance;
  const near = Math.floor(buckets / 2);
  if (hasBuckets && (near < 1 || maxDistance - 1 <= near)) {
    throw new ConfigError(
      `config.json: "position_buckets" is ${buckets}, expected 2 or more and less than twice "max_relative_positions" (${maxDistance})`,
      { key: 'position_buckets' },
    );
  }
  const { fround, log } = Math;
  const widest = fround(log(fround((maxDistance - 1) / near)));
  const bucketOf = (distance: number): number => {
    if (!hasBuckets || distance <= near) return distance;
    const part = fround(fround(log(fround(distance / near))) / widest);
    return Math.ceil(fround(part * (near - 1))) + near;
  };

  const after: number[] = [];
  const before: number[] = [];
  for (let d = 0; d <= MAX_REACH; d += 1) {
    const bucket = bucketOf(d);
    after.push(Math.min(span + bucket, 2 * span - 1));
    before.push(Math.max(span - bucket, 0));
    if (bucket >= span) break;
  }
  return Uint32Array.from([...before.slice(1).toReversed(), ...after]);
}
