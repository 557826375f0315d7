import { describe, expect, it } from 'vitest';
import { rmsNorm } from '../../src/kernels/rms_norm.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { random, relativeError, runOp, upload } from '../support/run_op.ts';

/** y = w x / sqrt(mean(x²) + eps), in float64. */
function reference(x: Float32Array, weight: Float32Array, eps: number): Float64Array {
  const dim = weight.length;
  return Float64Array.from(x, (value, i) => {
    const row = x.subarray(i - (i % dim), i - (i % dim) + dim);
    const meanSquare = row.reduce((sum, v) => sum + v * v, 0) / dim;
    return ((weight[i % dim] ?? 0) * value) / Math.sqrt(meanSquare + eps);
  });
}

const CASES = [
  { rows: 1, dim: 1 },
  { rows: 3, dim: 50 },
  { rows: 7, dim: 64 },
  { rows: 2, dim: 257 },
  { rows: 5, dim: 1031 },
];

describeOnAdapters('rms_norm', (open) => {
  describe.each(CASES)('[$rows, $dim]', ({ rows, dim }) => {
    const x = random(rows * dim, 1).map((v) => v * 3e4);
    const weight = random(dim, 2);

    it('normalizes rows', async () => {
      const device = await open();
      const { y } = await runOp(device, {}, (r) => ({
        y: rmsNorm(
          r.tensor(upload(device, 'f32', [rows, dim], x)),
          upload(device, 'f32', [dim], weight),
          1e-5,
        ),
      }));
      expect(relativeError(y.f32, reference(x, weight, 1e-5))).toBeLessThan(2e-6);
    });
  });
});
