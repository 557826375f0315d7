/** Exact widening of the stored floating-point types. @module */
import { ShapeError } from '../../util/errors.ts';

/** Dtypes that widen to float32 without loss. */
export type FloatDtype = 'F32' | 'F16' | 'BF16';

/**
 * Widens little-endian floats to float32; every value is exact, NaN payloads and signed zeros included.
 *
 * @param bytes - at any alignment; copied, never aliased
 * @throws {ShapeError} if `bytes` is not a whole number of elements
 */
export function toFloat32(dtype: FloatDtype, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const { elementBytes, widen } = FORMATS[dtype];
  if (bytes.length % elementBytes !== 0) {
    throw new ShapeError(
      `toFloat32: ${bytes.length} bytes of ${dtype}, expected a multiple of ${elementBytes}`,
    );
  }
  return widen(new Uint8Array(bytes).buffer);
}

interface Format {
  readonly elementBytes: number;
  readonly widen: (stored: ArrayBuffer) => Float32Array<ArrayBuffer>;
}

const FORMATS: Readonly<Record<FloatDtype, Format>> = {
  F32: { elementBytes: 4, widen: (stored) => new Float32Array(stored) },
  F16: { elementBytes: 2, widen: (stored) => widenF16(new Uint16Array(stored)) },
  BF16: { elementBytes: 2, widen: (stored) => widenBf16(new Uint16Array(stored)) },
};

/** bfloat16 is the upper half of a float32. */
function widenBf16(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < bits.length; i++) bits[i] = (halves[i] ?? 0) << 16;
  return new Float32Array(bits.buffer);
}

/** IEEE 754-2008 §3.6: binary16 has 5 exponent bits (bias 15) and 10 of fraction, binary32 8 (127) and 23. */
function widenF16(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(halves.length);
  const floats = new Float32Array(bits.buffer);
  for (let i = 0; i < bits.length; i++) {
    const half = halves[i] ?? 0;
    const magnitude = half & 0x7fff;
    const sign = (half & 0x8000) << 16;
    if (magnitude < 0x0400) {
      // Zero and subnormals count units of 2^-24, which float32 holds as normal numbers.
      floats[i] = magnitude * 2 ** -24;
      bits[i] = (bits[i] ?? 0) | sign;
    } else {
      // Infinity and NaN keep their exponent saturated: it moves by twice the difference of the biases.
      const rebias = magnitude >= 0x7c00 ? 2 * (127 - 15) : 127 - 15;
      bits[i] = sign | ((magnitude << 13) + (rebias << 23));
    }
  }
  return floats;
}
