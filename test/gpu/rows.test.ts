import { describe, expect, it } from 'vitest';
import { ACTIVATIONS, activate } from '../../src/kernels/activation.ts';
import { embedding, LAST_TOKEN } from '../../src/kernels/embedding.ts';
import { gatedActivation } from '../../src/kernels/gated_activation.ts';
import { gatherRows } from '../../src/kernels/gather_rows.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { REFERENCE_ACTIVATION } from '../support/reference_activation.ts';
import { random, relativeError, runOp, upload } from '../support/run_op.ts';
import { uploadMatrix } from '../support/weights.ts';

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

  it.each([97, 30])('scales and adds, %i rows per shard', async (shardRows) => {
    const device = await open();
    const dim = 45;
    const { matrix, stored } = uploadMatrix(
      device,
      'f16',
      97,
      dim,
      random(97 * dim, 1).map((v) => v / 8),
      shardRows,
    );
    const ids = Uint32Array.of(96, 0, 31);
    const added = random(3 * dim, 2);
    const lastTokens = upload(device, 'u32', [1], Uint32Array.of(0));
    const { y } = await runOp(device, {}, (r) => ({
      y: embedding(r.tensor(upload(device, 'u32', [3], ids)), lastTokens, matrix, {
        scale: 6.5,
        add: r.tensor(upload(device, 'f32', [3, dim], added)),
      }),
    }));
    const expected = Float64Array.from(
      added,
      (v, i) => 6.5 * (stored[(ids[Math.floor(i / dim)] ?? 0) * dim + (i % dim)] ?? 0) + v,
    );
    expect(relativeError(y.f32, expected)).toBeLessThan(2e-7);
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

describeOnAdapters('activate', (open) => {
  describe.each(ACTIVATIONS)('%s', (activation) => {
    it.each([
      { rows: 1, size: 1, scale: 0.01 },
      { rows: 5, size: 67, scale: 0.3 },
      { rows: 3, size: 130, scale: 6 },
      { rows: 2, size: 64, scale: 1e4 },
    ])('[$rows, $size] in ±$scale', async ({ rows, size, scale }) => {
      const device = await open();
      const x = random(rows * size, 3).map((v) => v * scale);
      if (rows > 1) x.set([0, scale, -scale, scale / 1e3]);
      const { y } = await runOp(device, {}, (r) => ({
        y: activate(r.tensor(upload(device, 'f32', [rows, size], x)), activation),
      }));
      expect(
        relativeError(y.f32, Float64Array.from(x, REFERENCE_ACTIVATION[activation])),
      ).toBeLessThan(5e-7);
    });
  });

  it('keeps the digits of a small tanh', async () => {
    const device = await open();
    const x = Float32Array.of(1e-30, -1e-6, 0.01, 0.2499, 0.25, -0.2501, 0.7, 10, -88);
    const { y } = await runOp(device, {}, (r) => ({
      y: activate(r.tensor(upload(device, 'f32', [1, x.length], x)), 'tanh'),
    }));
    x.forEach((v, i) => expect((y.f32[i] ?? 0) / Math.tanh(v)).toBeCloseTo(1, 6));
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
        return REFERENCE_ACTIVATION[activation](x[gate] ?? 0) * (x[gate + size] ?? 0);
      });
      expect(relativeError(y.f32, expected)).toBeLessThan(3e-6);
    });
  });
});
