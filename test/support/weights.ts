import type { Device } from '../../src/gpu/device.ts';
import {
  isQuantized,
  QUANT_GROUP,
  type Matrix,
  type WeightForm,
} from '../../src/kernels/matrix.ts';
import { upload } from './run_op.ts';

/** Rounds to bf16 (nearest, ties to even); the result is its 16 bits. */
function toBf16(value: number): number {
  const bits = new Uint32Array(new Float32Array([value]).buffer)[0] ?? 0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Rounds a normal number to f16 (nearest, ties to even); the result is its 16 bits. */
export function toF16(value: number): number {
  const sign = value < 0 ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size < 2 ** -14) return sign | roundEven(size * 2 ** 24);
  const exponent = Math.floor(Math.log2(size));
  return sign | (((exponent + 14) << 10) + roundEven((size / 2 ** exponent) * 1024));
}

/** Rounds to the nearest integer, ties to even, as WGSL does. */
export function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0);
}

/** The number that 16 bits of f16 stand for. */
export function fromF16(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  const size = exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -size : size;
}

/** Values in a storage dtype: their bytes, and what these hold exactly. */
export function encodeWeights(
  dtype: 'f32' | 'f16' | 'bf16',
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

/** Values as 8- or 4-bit integers by the largest magnitude of each group: words, scales, and what these hold exactly. */
function encodeQuantized(
  form: 'q8' | 'q4',
  values: Float32Array,
): {
  readonly words: Uint32Array;
  readonly scales: Uint16Array;
  readonly exact: Float32Array;
} {
  const [most, perWord] = form === 'q8' ? [127, 4] : [7, 8];
  const words = new Uint32Array(values.length / perWord);
  const scales = new Uint16Array(values.length / QUANT_GROUP);
  const exact = new Float32Array(values.length);
  for (let g = 0; g < scales.length; g += 1) {
    const group = values.subarray(g * QUANT_GROUP, (g + 1) * QUANT_GROUP);
    // Every third scale is negative: kernels must take either sign.
    const sign = g % 3 === 1 ? -1 : 1;
    const bits = toF16((sign * Math.max(...group.map(Math.abs))) / most);
    const scale = fromF16(bits);
    scales[g] = bits;
    for (const [i, value] of group.entries()) {
      const q = scale === 0 ? 0 : Math.max(-most - 1, Math.min(most, Math.round(value / scale)));
      const at = g * QUANT_GROUP + i;
      exact[at] = q * scale;
      const word = Math.floor(at / perWord);
      const shift = form === 'q8' ? 8 * (at % 4) : 8 * (at % 4) + 4 * (Math.floor(at / 4) % 2);
      const field = form === 'q8' ? q & 255 : q + 8;
      words[word] = ((words[word] ?? 0) | (field << shift)) >>> 0;
    }
  }
  return { words, scales, exact };
}

/**
 * Uploads a weight matrix in a storage form, cut into shards of at most `shardRows` rows: an even number, or all.
 *
 * @returns the matrix, and the values that the storage holds exactly
 */
export function uploadMatrix(
  device: Device,
  form: WeightForm,
  rows: number,
  cols: number,
  values: Float32Array,
  shardRows: number = rows,
): { readonly matrix: Matrix; readonly stored: Float32Array } {
  const ranges = Array.from({ length: Math.ceil(rows / shardRows) }, (_, i) => ({
    firstRow: i * shardRows,
    rows: Math.min(shardRows, rows - i * shardRows),
  }));
  if (isQuantized(form)) {
    const { words, scales, exact } = encodeQuantized(form, values);
    const perRow = words.length / rows;
    const groups = cols / QUANT_GROUP;
    const shards = ranges.map((range) => {
      const end = range.firstRow + range.rows;
      const part = words.slice(range.firstRow * perRow, end * perRow);
      const halves = scales.slice(range.firstRow * groups, end * groups);
      return {
        ...range,
        tensor: upload(device, 'u32', [range.rows, perRow], part),
        scales: upload(device, 'f16', [range.rows, groups], new Uint8Array(halves.buffer)),
      };
    });
    return { matrix: { rows, cols, form, shards }, stored: exact };
  }
  const { bytes, exact } = encodeWeights(form, values);
  const rowBytes = bytes.length / rows;
  const shards = ranges.map((range) => {
    const part = bytes.slice(range.firstRow * rowBytes, (range.firstRow + range.rows) * rowBytes);
    return { ...range, tensor: upload(device, form, [range.rows, cols], part) };
  });
  return { matrix: { rows, cols, form, shards }, stored: exact };
}
