import { describe, expect, it } from 'vitest';
import { embedding, LAST_TOKEN } from '../../src/kernels/embedding.ts';
import {
  ACTIVATIONS,
  gatedActivation,
  type Activation,
} from '../../src/kernels/gated_activation.ts';
import { gatherRows } from '../../src/kernels/gather_rows.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { random, relativeError, runOp, upload } from '../support/run_op.ts';
import { uploadMatrix } from '../support/weights.ts';

/** erf by its Maclaurin series, which converges everywhere and is exact to 1e-12 for |x| < 4. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 120; n += 1) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return Math.abs(x) > 4 ? Math.sign(x) : (2 / Math.sqrt(Math.PI)) * sum;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

const REFERENCE: Readonly<Record<Activation, (x: number) => number>> = {
  silu: (x) => x * sigmoid(x),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  gelu_tanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  quick_gelu: (x) => x * sigmoid(1.702 * x),
  relu: (x) => Math.max(x, 0),
  sigmoid,
};

describeOnAdapters('embedding', (open) => {
  it.each([
    { dtype: 'f32', dim: 64, shardRows: 97 },
    { dtype: 'f16', dim: 50, shardRows: 97 },
    { dtype: 'bf16', dim: 6, shardRows: 40 },
    { dtype: 'f16', dim: 300, shardRows: 30 },
  ] as const)('$dtype, dim $dim, $shardRows rows per shard', async ({ dtype, dim, shardRows }) => {
    const device = await open();
    const values = random(97 * dim, 1);
    const { matrix, stored } = uploadMatrix(device, dtype, 97, dim, values, shardRows);
    const ids = [0, 96, 39, 40, 41, 7];
    const lastTokens = upload(device, 'u32', [3], Uint32Array.of(5, 7, 96));
    const given = Uint32Array.from([...ids.slice(0, 5), LAST_TOKEN + 1]);
    const { y } = await runOp(device, {}, (r) => ({
      y: embedding(r.tensor(upload(device, 'u32', [6], given)), lastTokens, matrix),
    }));
    const expected = ids.flatMap((id) => [...stored.subarray(id * dim, (id + 1) * dim)]);
    expect([...y.f32]).toEqual(expected);
  });
});

describeOnAdapters('gather_rows', (open) => {
  it('copies rows in the order asked for', async () => {
    const device = await open();
    const x = random(5 * 70, 1);
    const rows = [4, 0, 4, 2];
    const { y } = await runOp(device, {}, (r) => ({
      y: gatherRows(
        r.tensor(upload(device, 'f32', [5, 70], x)),
        r.tensor(upload(device, 'u32', [4], Uint32Array.from(rows))),
      ),
    }));
    expect([...y.f32]).toEqual(rows.flatMap((row) => [...x.subarray(row * 70, row * 70 + 70)]));
  });
});

describeOnAdapters('gated_activation', (open) => {
  describe.each(ACTIVATIONS)('%s', (activation) => {
    it.each([
      { rows: 1, size: 1, scale: 3 },
      { rows: 3, size: 67, scale: 5 },
      { rows: 2, size: 200, scale: 3e4 },
    ])('[$rows, 2 · $size] in ±$scale', async ({ rows, size, scale }) => {
      const device = await open();
      const x = random(rows * size * 2, 2).map((v) => v * scale);
      const { y } = await runOp(device, {}, (r) => ({
        y: gatedActivation(r.tensor(upload(device, 'f32', [rows, size * 2], x)), activation),
      }));
      const expected = Float64Array.from({ length: rows * size }, (_, i) => {
        const gate = Math.floor(i / size) * size * 2 + (i % size);
        return REFERENCE[activation](x[gate] ?? 0) * (x[gate + size] ?? 0);
      });
      expect(relativeError(y.f32, expected)).toBeLessThan(3e-6);
    });
  });
});
