import { QUANT_GROUP } from '../../src/kernels/matrix.ts';
import { fromF16, roundEven, toF16 } from './weights.ts';

/** Integers of a form, and the scales that are tried: see shaders/lib/fit_*.wgsl. */
const FITS = {
  q8: { lowest: -128, highest: 127, firstReach: 120.3, reachStep: 1, reaches: 9 },
  q4: { lowest: -8, highest: 7, firstReach: 6.03, reachStep: 0.25, reaches: 13 },
} as const;

/**
 * The squared error of each group of {@link QUANT_GROUP} weights, rounded to integers as shaders/quantize.wgsl says;
 * sums are in float64.
 */
export function quantizationErrors(form: 'q8' | 'q4', weights: Float32Array): Float64Array {
  const { lowest, highest, firstReach, reachStep, reaches } = FITS[form];
  return Float64Array.from({ length: weights.length / QUANT_GROUP }, (_, g) => {
    const group = weights.subarray(g * QUANT_GROUP, (g + 1) * QUANT_GROUP);
    // In f32, since quotients of numbers with few digits often lie in the middle between integers.
    const integer = (w: number, scale: number): number =>
      Math.max(lowest, Math.min(highest, roundEven(Math.fround(w * Math.fround(1 / scale)))));
    const refit = (scale: number): number => {
      let [wq, qq] = [0, 0];
      for (const w of group) {
        const q = integer(w, scale);
        wq += w * q;
        qq += q * q;
      }
      return fromF16(toF16(qq === 0 ? 0 : wq / qq));
    };
    const loss = (scale: number): number =>
      group.reduce((sum, w) => sum + (w - scale * integer(w, scale)) ** 2, 0);
    const farthest = group.reduce((far, w) => (Math.abs(w) > Math.abs(far) ? w : far), 0);
    let best = group.reduce((sum, w) => sum + w * w, 0);
    if (farthest === 0) return 0;
    for (let i = 0; i < reaches; i += 1) {
      const size = Math.fround(farthest / (firstReach + i * reachStep));
      for (const scale of [refit(size), refit(-size)]) {
        if (scale !== 0) best = Math.min(best, loss(scale));
      }
    }
    return best;
  });
}

/** What planes of a quantized matrix stand for. */
export function dequantize(
  form: 'q8' | 'q4',
  words: Uint32Array,
  halves: Uint16Array,
): Float64Array {
  const perWord = form === 'q8' ? 4 : 8;
  return Float64Array.from({ length: words.length * perWord }, (_, i) => {
    const word = words[Math.floor(i / perWord)] ?? 0;
    const byte = word >>> (8 * (i % 4));
    const q = form === 'q8' ? (byte << 24) >> 24 : ((byte >>> (i % 8 < 4 ? 0 : 4)) & 15) - 8;
    return q * fromF16(halves[Math.floor(i / QUANT_GROUP)] ?? 0);
  });
}
