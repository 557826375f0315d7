/**
 * `model.safetensors.index.json`: which file of a sharded checkpoint holds which tensor.
 *
 *   {"metadata": {"total_size": 148096}, "weight_map": {"lm_head.weight": "model-00003-of-00003.safetensors", …}}
 *
 * @module
 */
import { WeightFileError } from '../../util/errors.ts';
import { asObject, parseJson } from './json.ts';

/** Contents of an index that has passed every check. */
export interface ShardedIndex {
  /** Tensor name → file name, relative to the folder of the index. */
  readonly weightMap: ReadonlyMap<string, string>;
  /** The distinct files of `weightMap`, sorted by name. */
  readonly shards: readonly string[];
}

/**
 * Parses and checks a sharded index.
 *
 * @param file - name of the index, for messages
 * @param bytes - its contents
 * @throws {WeightFileError} if it is not JSON, names no tensors, or names a file outside its folder
 */
export function parseShardedIndex(file: string, bytes: Uint8Array): ShardedIndex {
  const { value } = parseJson(
    bytes,
    (message, options) => new WeightFileError(file, `the index ${message}`, options),
  );
  const entries = asObject(asObject(value)?.['weight_map']);
  if (entries === undefined) {
    throw new WeightFileError(
      file,
      '"weight_map" is missing or not an object, expected {"tensor name": "file name", …}',
    );
  }
  const weightMap = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(entries)) {
    if (typeof shard !== 'string' || !isInsideFolder(shard)) {
      throw new WeightFileError(
        file,
        `weight_map names ${JSON.stringify(shard)} for tensor "${tensor}", expected a file in the folder of the index`,
        { tensor },
      );
    }
    weightMap.set(tensor, shard);
  }
  if (weightMap.size === 0) throw new WeightFileError(file, '"weight_map" is empty');
  return { weightMap, shards: [...new Set(weightMap.values())].sort() };
}

/** Relative, with forward slashes, and without a step that could leave the folder or name a host. */
function isInsideFolder(path: string): boolean {
  return (
    path.isWellFormed() &&
    !/[\\:\0]/.test(path) &&
    path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  );
}
