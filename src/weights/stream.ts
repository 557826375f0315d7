/** Reads tensors in bounded chunks, so that no more than a few chunks are ever in memory. @module */
import { RequestError } from '../util/errors.ts';
import type { TensorEntry } from './checkpoint.ts';
import { readExactly } from './read_exactly.ts';
import type { ByteSource } from './source.ts';

/** A tensor to read, and what is done with its bytes. */
export interface TensorRead {
  readonly entry: TensorEntry;
  /**
   * Takes the next bytes of the tensor, in order; an empty tensor has none. Called for one piece at a time
   * over all tensors, and reading waits for its promise. `offsetInTensor` is a multiple of 4, and so is
   * the length of every piece but the last. `bytes` is valid until the promise settles.
   */
  readonly onBytes: (
    offsetInTensor: number,
    bytes: Uint8Array<ArrayBuffer>,
  ) => void | Promise<void>;
}

/** How far the reading has come. */
export interface StreamProgress {
  /** Name of the file that the latest bytes came from. */
  readonly file: string;
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

/** How to read. */
export interface StreamOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: StreamProgress) => void;
  /** Longest read; rounded down to a multiple of 4. Default 8 MiB. */
  readonly chunkBytes?: number;
  /** Most bytes asked for and not yet taken by `onBytes`; one chunk is always allowed. Default 32 MiB. */
  readonly maxInFlightBytes?: number;
}

const MIB = 2 ** 20;

/** Part of a tensor within a chunk; `begin` counts from the start of the chunk. */
interface Piece {
  readonly read: TensorRead;
  readonly offsetInTensor: number;
  readonly begin: number;
  readonly sizeBytes: number;
}

/** One read of a file: neighbouring tensors and parts of tensors without a gap between. */
interface Chunk {
  readonly file: ByteSource;
  readonly begin: number;
  end: number;
  readonly pieces: Piece[];
}

/**
 * Reads tensors in the order of their bytes in each file, several reads ahead of their use.
 *
 * @throws {DownloadError} if a file cannot be read
 * @throws {RequestError} if a size in `options` is too small
 * @throws what `onBytes` throws; `signal.reason` when aborted. No read is under way any more by then
 */
export async function streamTensors(
  reads: readonly TensorRead[],
  options: StreamOptions = {},
): Promise<void> {
  const { signal, onProgress, maxInFlightBytes = 32 * MIB } = options;
  const chunks = planChunks(reads, checkedChunkBytes(options.chunkBytes ?? 8 * MIB));
  const totalBytes = chunks.reduce((sum, { begin, end }) => sum + end - begin, 0);
  const failure = new AbortController();
  const stop = signal === undefined ? failure.signal : AbortSignal.any([signal, failure.signal]);

  const pending: Promise<Uint8Array<ArrayBuffer>>[] = [];
  // Collectors free dropped buffers late: a load that drops each would grow by hundreds of megabytes.
  const spare: ArrayBuffer[] = [];
  const ahead = chunks.values();
  let next = ahead.next();
  let inFlightBytes = 0;
  const readAhead = (): void => {
    for (; next.done !== true; next = ahead.next()) {
      const { file, begin, end } = next.value;
      if (inFlightBytes > 0 && inFlightBytes + end - begin > maxInFlightBytes) return;
      inFlightBytes += end - begin;
      const read = readExactly(file, begin, end, stop, spare.pop());
      // Its failure is reported when its turn comes, or dropped when an earlier one failed.
      read.catch(() => {});
      pending.push(read);
    }
  };

  let loadedBytes = 0;
  try {
    for (const { file, begin, end, pieces } of chunks) {
      readAhead();
      signal?.throwIfAborted();
      const bytes = await pending.shift();
      if (bytes === undefined) break;
      await deliver(pieces, bytes, signal);
      spare.push(bytes.buffer);
      inFlightBytes -= end - begin;
      loadedBytes += end - begin;
      onProgress?.({ file: file.name, loadedBytes, totalBytes });
    }
  } catch (error) {
    failure.abort();
    await Promise.allSettled(pending);
    signal?.throwIfAborted();
    throw error;
  }
}

async function deliver(
  pieces: readonly Piece[],
  bytes: Uint8Array<ArrayBuffer>,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const { read, offsetInTensor, begin, sizeBytes } of pieces) {
    await read.onBytes(offsetInTensor, bytes.subarray(begin, begin + sizeBytes));
    signal?.throwIfAborted();
  }
}

function planChunks(reads: readonly TensorRead[], chunkBytes: number): readonly Chunk[] {
  const chunks: Chunk[] = [];
  let chunk: Chunk | undefined;
  for (const read of inFileOrder(reads)) {
    const { file, begin, end } = read.entry;
    for (let at = begin; at < end;) {
      if (chunk?.file !== file || chunk.end !== at) chunk = undefined;
      const room = chunk === undefined ? chunkBytes : chunkBytes - (chunk.end - chunk.begin);
      const sizeBytes = end - at <= room ? end - at : room - (room % 4);
      if (sizeBytes === 0) {
        chunk = undefined;
        continue;
      }
      if (chunk === undefined) {
        chunk = { file, begin: at, end: at, pieces: [] };
        chunks.push(chunk);
      }
      chunk.pieces.push({ read, offsetInTensor: at - begin, begin: at - chunk.begin, sizeBytes });
      chunk.end += sizeBytes;
      at += sizeBytes;
    }
  }
  return chunks;
}

/** By file, in the order the files first appear, then by place in the file. */
function inFileOrder(reads: readonly TensorRead[]): readonly TensorRead[] {
  const rank = new Map<ByteSource, number>();
  for (const { entry } of reads) if (!rank.has(entry.file)) rank.set(entry.file, rank.size);
  const rankOf = ({ entry }: TensorRead): number => rank.get(entry.file) ?? 0;
  return reads.toSorted((a, b) => rankOf(a) - rankOf(b) || a.entry.begin - b.entry.begin);
}

function checkedChunkBytes(chunkBytes: number): number {
  if (Number.isSafeInteger(chunkBytes) && chunkBytes >= 4) return chunkBytes - (chunkBytes % 4);
  throw new RequestError(`streamTensors: chunkBytes is ${chunkBytes}, expected an integer ≥ 4`);
}
