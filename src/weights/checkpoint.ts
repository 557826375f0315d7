/** The tensors of a model repository, found and checked but not yet read. @module */
import { WeightFileError } from '../util/errors.ts';
import { PREFIX_BYTES, headerLength, parseHeader } from './format/safetensors.ts';
import type { TensorInfo } from './format/safetensors.ts';
import { parseShardedIndex } from './format/sharded_index.ts';
import { readExactly } from './read_exactly.ts';
import { readSmall } from './source.ts';
import type { ByteSource, ModelSource } from './source.ts';

/** One tensor and the file that holds its bytes at [begin, end). */
export interface TensorEntry extends TensorInfo {
  readonly file: ByteSource;
}

/** The safetensors files of one model. */
export interface Checkpoint {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly files: readonly ByteSource[];
  /** Bytes of all tensors. */
  readonly totalBytes: number;
}

const SINGLE_FILE = 'model.safetensors';
const INDEX_FILE = 'model.safetensors.index.json';

/** Headers read at the same time. */
const MAX_OPEN_SHARDS = 4;

/** Weights in other formats, by the names they usually have, for sources that cannot list their files. */
const FOREIGN_FILES = [
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
  'model.gguf',
  'model.onnx',
  'onnx/model.onnx',
  'tf_model.h5',
  'flax_model.msgpack',
];
const FOREIGN_NAME = /\.(bin|bin\.index\.json|pth?|ckpt|gguf|ggml|onnx|h5|msgpack|safetensors)$/;

/**
 * Finds `model.safetensors`, or the shards of `model.safetensors.index.json`, and checks their headers.
 * Only headers are read; {@link streamTensors} reads the rest.
 *
 * @throws {WeightFileError} if a file is missing or damaged, or a shard lacks a tensor of the index
 * @throws {DownloadError} if a file cannot be read
 * @throws `signal.reason` when aborted
 */
export async function openCheckpoint(
  source: ModelSource,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  const single = await source.open(SINGLE_FILE, signal);
  if (single !== undefined) return openSingle(single, signal);

  const fail = (message: string): WeightFileError => new WeightFileError(INDEX_FILE, message);
  const index = await readSmall(source, INDEX_FILE, fail, signal);
  if (index !== undefined) return openShards(source, index, signal);

  const foreign = await foreignWeights(source, signal);
  const found = foreign.length > 0 ? `only ${foreign.join(', ')}` : 'neither';
  throw new WeightFileError(
    source.name,
    `found ${found}, expected ${SINGLE_FILE} or ${INDEX_FILE}; weights must be in the safetensors format under these names`,
  );
}

async function openSingle(file: ByteSource, signal?: AbortSignal): Promise<Checkpoint> {
  const tensors = await readHeader(SINGLE_FILE, file, signal);
  return checkpointOf([...tensors.values()], [file]);
}

async function openShards(
  source: ModelSource,
  indexBytes: Uint8Array,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  const { weightMap, shards } = parseShardedIndex(INDEX_FILE, indexBytes);
  const opened = await mapBounded(shards, MAX_OPEN_SHARDS, async (shard) => {
    const file = await source.open(shard, signal);
    if (file === undefined) {
      throw new WeightFileError(
        INDEX_FILE,
        `the shard ${shard} is missing from ${source.name}, expected all ${shards.length} shards of the index; complete the download`,
      );
    }
    return { shard, file, tensors: await readHeader(shard, file, signal) };
  });
  const byName = new Map(opened.map(({ shard, tensors }) => [shard, tensors]));
  const entries = [...weightMap].map(([tensor, shard]) => {
    const entry = byName.get(shard)?.get(tensor);
    if (entry === undefined) {
      throw new WeightFileError(
        INDEX_FILE,
        `tensor "${tensor}" should be in ${shard}, which does not hold it; the shards and the index are of different versions`,
        { tensor },
      );
    }
    return entry;
  });
  return checkpointOf(
    entries,
    opened.map(({ file }) => file),
  );
}

async function readHeader(
  name: string,
  file: ByteSource,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, TensorEntry>> {
  const prefix = await readExactly(file, 0, Math.min(PREFIX_BYTES, file.size), signal);
  const end = PREFIX_BYTES + headerLength(name, prefix, file.size);
  const header = await readExactly(file, PREFIX_BYTES, end, signal);
  const { tensors } = parseHeader(name, header, file.size);
  return new Map(tensors.map((tensor) => [tensor.name, { ...tensor, file }]));
}

function checkpointOf(entries: readonly TensorEntry[], files: readonly ByteSource[]): Checkpoint {
  return {
    tensors: new Map(entries.map((entry) => [entry.name, entry])),
    files,
    totalBytes: entries.reduce((sum, { begin, end }) => sum + end - begin, 0),
  };
}

/** Weight files that we do not read, to tell the user what is there instead. */
async function foreignWeights(
  source: ModelSource,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  if (source.list !== undefined) {
    return (await source.list()).filter((name) => FOREIGN_NAME.test(name));
  }
  const found = await mapBounded(FOREIGN_FILES, FOREIGN_FILES.length, async (name) => {
    const file = await source.open(name, signal);
    return file === undefined ? [] : [name];
  });
  return found.flat();
}

/** `Promise.all(items.map(run))` with at most `limit` at once; after a failure no further item starts. */
async function mapBounded<T, R>(
  items: readonly T[],
  limit: number,
  run: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  let hasFailed = false;
  const worker = async (): Promise<void> => {
    for (const [i, item] of queue) {
      if (hasFailed) return;
      try {
        results[i] = await run(item);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  return results;
}
