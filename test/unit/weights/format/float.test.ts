import { describe, expect, it } from 'vitest';
import { ShapeError } from '../../../../src/util/errors.ts';
import { toFloat32 } from '../../../../src/weights/format/float.ts';

/** IEEE 754-2008 §3.4, straight from the definition. */
function halfValue(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const ALL_16_BITS = Uint16Array.from({ length: 0x10000 }, (_, i) => i);

describe('toFloat32', () => {
  it('widens every F16 exactly', () => {
    const actual = toFloat32('F16', new Uint8Array(ALL_16_BITS.buffer));
    const expected = Float32Array.from(ALL_16_BITS, halfValue);
    expect(actual.every((value, i) => Object.is(value, expected[i]))).toBe(true);
    // Signs and payloads of NaN survive.
    expect(new Uint32Array(actual.buffer)[0xfe01]).toBe(0xffc02000);
  });

  it('widens every BF16 to the float32 of the same upper half', () => {
    const actual = new Uint32Array(toFloat32('BF16', new Uint8Array(ALL_16_BITS.buffer)).buffer);
    expect(actual.every((bits, i) => bits === i * 0x10000)).toBe(true);
  });

  it('copies F32 bit for bit, at any alignment', () => {
    const stored = new Uint8Array(9);
    new DataView(stored.buffer).setUint32(1, 0x7fa00001, true);
    new DataView(stored.buffer).setFloat32(5, -0, true);
    const actual = new Uint32Array(toFloat32('F32', stored.subarray(1)).buffer);
    expect([...actual]).toEqual([0x7fa00001, 0x80000000]);
  });

  it.each([
    ['F32', 6],
    ['F16', 3],
    ['BF16', 1],
  ] as const)('refuses part of a %s', (dtype, size) => {
    expect(() => toFloat32(dtype, new Uint8Array(size))).toThrow(ShapeError);
  });
});
