import type { Device } from '../../src/gpu/device.ts';
import type { Matrix } from '../../src/kernels/matrix.ts';
import { upload } from './run_op.ts';

/** Rounds to bf16 (nearest, ties to even); the result is its 16 bits. */
function toBf16(value: number): number {
  const bits = new Uint32Array(new Float32Array([value]).buffer)[0] ?? 0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Rounds a normal number to f16 (nearest, ties to even); the result is its 16 bits. */
function toF16(value: number): number {
  const sign = value < 0 ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size < 2 ** -14) return sign | roundEven(size * 2 ** 24);
  const exponent = Math.floor(Math.log2(size));
  return sign | (((exponent + 14) << 10) + roundEven((size / 2 ** exponent) * 1024));
}

function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0);
}

function fromF16(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  const size = exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -size : size;
}

/** Values in a storage dtype: their bytes, and what these hold exactly. */
export function encodeWeights(
  dtype: Matrix['dtype'],
  values: Float32Array,
): { readonly bytes: Uint8Array; readonly exact: Float32Array } {
  if (dtype === 'f32') return { bytes: new Uint8Array(values.slice().buffer), exact: values };
  const halves = Uint16Array.from(values, dtype === 'f16' ? toF16 : toBf16);
  const exact = Float32Array.from(halves, (bits) =>
    dtype === 'f16'
      ? fromF16(bits)
      : (new Float32Array(new Uint32Array([bits << 16]).buffer)[0] ?? 0),
  );
  return { bytes: new Uint8Array(halves.buffer), exact };
}

/**
 * Uploads a weight matrix in a storage dtype, cut into shards of at most `shardRows` rows.
 *
 * @returns the matrix, and the values that the storage holds exactly
 */
export function uploadMatrix(
  device: Device,
  dtype: Matrix['dtype'],
  rows: number,
  cols: number,
  values: Float32Array,
  shardRows: number = rows,
): { readonly matrix: Matrix; readonly stored: Float32Array } {
  const { bytes, exact } = encodeWeights(dtype, values);
  const rowBytes = bytes.length / rows;
  const shards = [];
  for (let firstRow = 0; firstRow < rows; firstRow += shardRows) {
    const count = Math.min(shardRows, rows - firstRow);
    const part = bytes.slice(firstRow * rowBytes, (firstRow + count) * rowBytes);
    shards.push({ firstRow, rows: count, tensor: upload(device, dtype, [count, cols], part) });
  }
  return { matrix: { rows, cols, dtype, shards }, stored: exact };
}
