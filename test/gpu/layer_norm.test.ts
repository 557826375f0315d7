import { describe, expect, it } from 'vitest';
import { addLayerNorm, layerNorm } from '../../src/kernels/layer_norm.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { random, relativeError, runOp, upload } from '../support/run_op.ts';

/** y = w (x − mean) / sqrt(variance + eps) + b, in float64. */
function reference(
  x: Float32Array,
  weight: Float32Array,
  bias: Float32Array | undefined,
  eps: number,
): Float64Array {
  const dim = weight.length;
  return Float64Array.from(x, (value, i) => {
    const row = Float64Array.from(x.subarray(i - (i % dim), i - (i % dim) + dim));
    const mean = row.reduce((sum, v) => sum + v, 0) / dim;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / dim;
    const shift = bias?.[i % dim] ?? 0;
    return ((weight[i % dim] ?? 0) * (value - mean)) / Math.sqrt(variance + eps) + shift;
  });
}

const CASES = [
  { rows: 1, dim: 1, mean: 5, spread: 0 },
  { rows: 7, dim: 3, mean: 0, spread: 1 },
  { rows: 3, dim: 45, mean: -20, spread: 3e4 },
  { rows: 5, dim: 64, mean: 1e3, spread: 1e-2 },
  { rows: 2, dim: 1000, mean: 1e3, spread: 0.1 },
  { rows: 2, dim: 1031, mean: 0, spread: 1e-7 },
  { rows: 2, dim: 768, mean: 1e5, spread: 1 },
];

describeOnAdapters('layer_norm', (open) => {
  describe.each(CASES)('[$rows, $dim], $mean ± $spread', ({ rows, dim, mean, spread }) => {
    const x = random(rows * dim, 1).map((v) => mean + v * spread);
    const weight = random(dim, 2);
    const bias = random(dim, 3);

    it.each([
      { eps: 1e-12, shift: bias },
      { eps: 1e-5, shift: undefined },
    ])('normalizes rows, eps $eps', async ({ eps, shift }) => {
      const device = await open();
      const { y } = await runOp(device, {}, (r) => ({
        y: layerNorm(
          r.tensor(upload(device, 'f32', [rows, dim], x)),
          upload(device, 'f32', [dim], weight),
          shift && upload(device, 'f32', [dim], shift),
          eps,
        ),
      }));
      expect(relativeError(y.f32, reference(x, weight, shift, eps))).toBeLessThan(1e-6);
    });

    it('adds before normalizing', async () => {
      const device = await open();
      const delta = random(rows * dim, 4).map((v) => v * spread);
      const result = await runOp(device, {}, (r) => {
        const sum = r.tensor(upload(device, 'f32', [rows, dim], x));
        const d = r.tensor(upload(device, 'f32', [rows, dim], delta));
        const w = upload(device, 'f32', [dim], weight);
        return { y: addLayerNorm(sum, d, w, upload(device, 'f32', [dim], bias), 1e-5), sum };
      });
      const sums = x.map((v, i) => v + (delta[i] ?? 0));
      expect([...result.sum.f32]).toEqual([...sums]);
      expect(relativeError(result.y.f32, reference(sums, weight, bias, 1e-5))).toBeLessThan(1e-6);
    });
  });

  it.each([3, 45, 700])('makes the bias of a row of %i equal numbers', async (dim) => {
    const device = await open();
    const bias = random(dim, 1);
    const ones = new Float32Array(dim).fill(1);
    const { y } = await runOp(device, {}, (r) => ({
      y: layerNorm(
        r.tensor(upload(device, 'f32', [1, dim], new Float32Array(dim).fill(1000.1))),
        upload(device, 'f32', [dim], ones),
        upload(device, 'f32', [dim], bias),
        1e-12,
      ),
    }));
    expect(relativeError(y.f32, bias)).toBeLessThan(1e-4);
  });

  it('names a weight or bias of another size', async () => {
    const device = await open();
    const size = (dim: number) => upload(device, 'f32', [dim], random(dim, 1));
    const norm = (weight: number, bias: number) =>
      runOp(device, {}, (r) => ({
        y: layerNorm(
          r.tensor(upload(device, 'f32', [1, 4], random(4, 1))),
          size(weight),
          size(bias),
          0,
        ),
      }));
    await expect(norm(5, 4)).rejects.toThrow('layer_norm: weight is f32 [5], expected f32 [4]');
    await expect(norm(4, 3)).rejects.toThrow('layer_norm: bias is f32 [3], expected f32 [4]');
  });
});
