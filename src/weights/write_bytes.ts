import type { Device } from '../gpu/device.ts';
import { sizeOf, type DType } from '../gpu/tensor.ts';
import type { MatrixShard } from '../kernels/matrix.ts';

/**
 * Writes bytes to a matrix whose elements are stored as such, at their place from its first element on; they may cross
 * from one shard to the next.
 */
export function writeBytes(
  device: Device,
  cols: number,
  shards: readonly Pick<MatrixShard, 'firstRow' | 'tensor'>[],
  at: number,
  bytes: Uint8Array,
): void {
  for (const { tensor, firstRow } of shards) {
    const firstByte = firstRow * cols * elementBytes(tensor.dtype);
    const begin = Math.max(at, firstByte);
    const end = Math.min(at + bytes.length, firstByte + tensor.sizeBytes);
    if (begin >= end || tensor.memory.kind !== 'buffer') continue;
    const part = wholeWords(bytes.subarray(begin - at, end - at));
    device.gpu.queue.writeBuffer(tensor.memory.buffer, begin - firstByte, part);
  }
}

/** The bytes, with zeros up to the next multiple of 4 that `writeBuffer` asks for. */
export function wholeWords(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const padded =
    bytes.length % 4 === 0
      ? bytes
      : Uint8Array.from({ length: bytes.length + 4 - (bytes.length % 4) });
  if (padded !== bytes) padded.set(bytes);
  // writeBuffer takes no shared memory; a source of the caller's own may hand some out.
  const { buffer, byteOffset, byteLength } = padded;
  return buffer instanceof ArrayBuffer
    ? new Uint8Array(buffer, byteOffset, byteLength)
    : Uint8Array.from(padded);
}

function elementBytes(dtype: DType): number {
  return sizeOf(dtype, [2]) / 2;
}
