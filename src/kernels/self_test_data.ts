/** Operands of the self-test: random, but always the same. @module */
import type { Device } from '../gpu/device.ts';
import { sizeOf, type DeviceTensor, type DType } from '../gpu/tensor.ts';
import { isQuantized, matrixBytes, QUANT_GROUP, type Matrix, type WeightForm } from './matrix.ts';

/** Numbers in [-1, 1), the same for the same seed. */
export function random(length: number, seed: number): Float32Array<ArrayBuffer> {
  return Float32Array.from(randomWords(length, seed), (word) => word / 2 ** 31 - 1);
}

/** Marsaglia 2003, "Xorshift RNGs", doi:10.18637/jss.v008.i14. */
function randomWords(length: number, seed: number): Uint32Array<ArrayBuffer> {
  let state = Math.imul(seed, 0x9e3779b1);
  return new Uint32Array(length).map(() => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  });
}

/** A weight of random numbers as they are stored: as {@link uploadStored}, or integers of all values. */
export function uploadWeight(
  device: Device,
  form: WeightForm,
  rows: number,
  cols: number,
  seed: number,
): Matrix {
  if (!isQuantized(form)) {
    const tensor = uploadStored(device, form, [rows, cols], seed);
    return { rows, cols, form, shards: [{ firstRow: 0, rows, tensor }] };
  }
  const groups = (rows * cols) / QUANT_GROUP;
  const words = (matrixBytes(form, rows, cols) - 2 * groups) / 4 / rows;
  const tensor = uploadWords(device, [rows, words], randomWords(rows * words, seed));
  const stored = randomHalves('f16', groups, seed + 1);
  const scales = uploadBytes(device, 'f16', [rows, cols / QUANT_GROUP], stored);
  return { rows, cols, form, shards: [{ firstRow: 0, rows, tensor, scales }] };
}

/** A tensor of random numbers as they are stored: f32 in [-1, 1), others normal and of magnitude 1/128 to 2. */
export function uploadStored(
  device: Device,
  dtype: 'f32' | 'f16' | 'bf16',
  shape: readonly number[],
  seed: number,
): DeviceTensor {
  const count = shape.reduce((n, size) => n * size, 1);
  if (dtype === 'f32') return uploadNumbers(device, shape, random(count, seed));
  return uploadBytes(device, dtype, shape, randomHalves(dtype, count, seed));
}

/** A `q8` cache's keys or values: bytes of all values, and where `isScale` says so, a scale around 1/127. */
export function uploadScaled(
  device: Device,
  shape: readonly number[],
  seed: number,
  isScale: (word: number) => boolean,
): DeviceTensor {
  const count = shape.reduce((n, size) => n * size, 1);
  const words = randomWords(count, seed);
  const floats = new Float32Array(words.buffer);
  for (let i = 0; i < count; i += 1) {
    if (isScale(i)) floats[i] = (0.5 + (words[i] ?? 0) / 2 ** 32) / 127;
  }
  return uploadWords(device, shape, words);
}

/** Sign and fraction as they come, of the exponent three bits, counted down from that of 1. */
function randomHalves(
  dtype: 'f16' | 'bf16',
  count: number,
  seed: number,
): Uint16Array<ArrayBuffer> {
  const [fraction, one] = dtype === 'f16' ? [10, 15] : [7, 127];
  return Uint16Array.from(randomWords(count, seed), (word) => {
    const exponent = one - ((word >>> 16) & 7);
    return (word & 0x8000) | (exponent << fraction) | (word & ((1 << fraction) - 1));
  });
}

/** An f32 tensor with these values. */
export function uploadNumbers(
  device: Device,
  shape: readonly number[],
  values: Float32Array<ArrayBuffer>,
): DeviceTensor {
  return uploadBytes(device, 'f32', shape, values);
}

/** A u32 tensor with these values. */
export function uploadWords(
  device: Device,
  shape: readonly number[],
  values: Uint32Array<ArrayBuffer>,
): DeviceTensor {
  return uploadBytes(device, 'u32', shape, values);
}

function uploadBytes(
  device: Device,
  dtype: DType,
  shape: readonly number[],
  { buffer }: { readonly buffer: ArrayBuffer },
): DeviceTensor {
  const sizeBytes = sizeOf(dtype, shape);
  const bytes = new Uint8Array(sizeBytes);
  bytes.set(new Uint8Array(buffer));
  const target = device.createBuffer('state', 'self-test', sizeBytes);
  device.gpu.queue.writeBuffer(target, 0, bytes);
  return { dtype, shape, sizeBytes, memory: { kind: 'buffer', buffer: target, offset: 0 } };
}
