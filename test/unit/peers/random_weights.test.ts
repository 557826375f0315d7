import { describe, expect, it } from 'vitest';
import {
  RandomMatrix,
  randomFloats,
  randomIds,
  randomVector,
} from '../../../peers/random_weights.ts';

const ROWS = 5;
const COLS = 64;
const matrix = new RandomMatrix('a.weight', ROWS, COLS);

/** The value of f16 bits of a normal number. */
function fromF16(bits: number): number {
  return (1 + (bits & 1023) / 1024) * 2 ** ((bits >> 10) - 15);
}

describe('random matrices', () => {
  it('are the same numbers in every form', () => {
    const floats = matrix.floats();
    const scaleOf = (at: number): number => fromF16(matrix.scales[Math.floor(at / 32)] ?? 0);
    const nibbles = matrix.nibbles();
    const ofNibbles = floats.map((_, at) => {
      const byte = nibbles[at >> 1] ?? 0;
      return ((at % 2 === 0 ? byte & 15 : byte >> 4) - 8) * scaleOf(at);
    });
    const ofWords = floats.map((_, at) => {
      const word = matrix.words[Math.floor(at / 8)] ?? 0;
      const k = at % 8;
      return (((word >>> ((k % 4) * 8 + (k < 4 ? 0 : 4))) & 15) - 8) * scaleOf(at);
    });
    const bytes = matrix.bytes();
    expect(ofNibbles).toEqual(floats);
    expect(ofWords).toEqual(floats);
    expect(floats.map((_, at) => (bytes[at] ?? 0) * scaleOf(at))).toEqual(floats);
    expect(matrix.floatScales()[1]).toBe(scaleOf(32));
  });

  it('are transposed element by element', () => {
    const [floats, transposed] = [matrix.floats(), matrix.transposedFloats()];
    for (let row = 0; row < ROWS; row += 1) {
      for (let col = 0; col < COLS; col += 1) {
        expect(transposed[col * ROWS + row]).toBe(floats[row * COLS + col]);
      }
    }
  });

  it('are even around 0, and fill the range', () => {
    const integers = new RandomMatrix('b.weight', 64, 1024).bytes();
    const counts = new Map<number, number>();
    for (const value of integers) counts.set(value, (counts.get(value) ?? 0) + 1);
    expect([...counts.keys()].toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 15 }, (_, i) => i - 7),
    );
    const mean = integers.reduce((sum, value) => sum + value, 0) / integers.length;
    expect(Math.abs(mean)).toBeLessThan(0.1);
  });

  it('follow from the name alone', () => {
    expect(new RandomMatrix('a.weight', ROWS, COLS).words).toEqual(matrix.words);
    expect(new RandomMatrix('c.weight', ROWS, COLS).words).not.toEqual(matrix.words);
  });
});

describe('random vectors', () => {
  it('are about 1 for norms and about 0 for others', () => {
    const mean = (name: string): number =>
      randomVector(name, 1000).reduce((sum, value) => sum + value, 0) / 1000;
    expect(mean('model.norm.weight')).toBeCloseTo(1, 1);
    expect(mean('embeddings.LayerNorm.weight')).toBeCloseTo(1, 1);
    expect(mean('embeddings.LayerNorm.bias')).toBeCloseTo(0, 1);
  });

  it('stay in their ranges', () => {
    expect(randomFloats('x', 1000).every((value) => Math.abs(value) <= 1)).toBe(true);
    expect(randomIds('ids', 1000, 7).every((id) => id >= 0 && id < 7)).toBe(true);
  });
});
