import { expect, it } from 'vitest';
import { copyPages } from '../../src/kernels/copy_pages.ts';
import type { KvDType } from '../../src/kernels/kv_cache.ts';
import { padHeads } from '../../src/kernels/pad_heads.ts';
import { ShapeError } from '../../src/util/errors.ts';
import { uploadCache } from '../support/attention_step.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { random, runOp, upload } from '../support/run_op.ts';

describeOnAdapters('copy_pages', (open) => {
  it.each<{ readonly dtype: KvDType; readonly headDim: number; readonly pageSize: number }>([
    { dtype: 'f32', headDim: 6, pageSize: 5 },
    { dtype: 'f16', headDim: 64, pageSize: 16 },
    { dtype: 'q8', headDim: 7, pageSize: 5 },
  ])('copies as many pages as the step says: $dtype', async ({ dtype, headDim, pageSize }) => {
    const device = await open();
    const shape = { kvHeads: 3, headDim, pageSize, pages: 9 };
    const padded = Math.ceil(headDim / 4) * 4;
    const size = shape.pages * shape.kvHeads * padded * pageSize;
    const elements = { keys: random(size, 1), values: random(size, 2) };
    const kv = uploadCache(device, shape, dtype, elements);
    const before = uploadCache(device, shape, dtype, elements);
    // The third pair is of no concern: there are two copies in this step.
    const pairs = upload(device, 'u32', [3, 2], Uint32Array.of(8, 1, 2, 0, 3, 4));
    const result = await runOp(device, { copies: 2 }, (r) => {
      copyPages(r, pairs, kv);
      return {
        keys: r.tensor(kv.keys),
        values: r.tensor(kv.values),
        oldKeys: r.tensor(before.keys),
        oldValues: r.tensor(before.values),
      };
    });
    const from = [2, 8, 2, 3, 4, 5, 6, 7, 8];
    for (const [now, old] of [
      [result.keys.u32, result.oldKeys.u32],
      [result.values.u32, result.oldValues.u32],
    ] as const) {
      const words = old.length / shape.pages;
      const page = (of: Uint32Array, i: number) => of.subarray(i * words, (i + 1) * words);
      expect(from.map((_, i) => page(now, i))).toEqual(from.map((i) => page(old, i)));
    }
  });

  it('refuses pairs that are none', async () => {
    const device = await open();
    const shape = { kvHeads: 1, headDim: 4, pageSize: 4, pages: 1 };
    const numbers = new Float32Array(16);
    const kv = uploadCache(device, shape, 'f32', { keys: numbers, values: numbers });
    const pairs = upload(device, 'u32', [2, 3], new Uint32Array(6));
    await expect(
      runOp(device, {}, (r) => {
        copyPages(r, pairs, kv);
        return {};
      }),
    ).rejects.toThrow(ShapeError);
  });
});

describeOnAdapters('pad_heads', (open) => {
  it.each([
    [1, 1],
    [5, 13],
    [71, 6],
  ])('fills up %i heads of %i', async (heads, headDim) => {
    const device = await open();
    const padded = Math.ceil(headDim / 4) * 4;
    const x = random(3 * heads * headDim, 3);
    const { y } = await runOp(device, {}, (r) => ({
      y: padHeads(r.tensor(upload(device, 'f32', [3, heads * headDim], x)), heads, headDim),
    }));
    const expected = new Float32Array(3 * heads * padded);
    x.forEach((value, i) => {
      expected[Math.floor(i / headDim) * padded + (i % headDim)] = value;
    });
    expect(y.f32).toEqual(expected);
  });

  it('leaves heads of whole vec4s alone, and refuses others than said', async () => {
    const device = await open();
    await runOp(device, {}, (r) => {
      const q = r.tensor(upload(device, 'f32', [2, 24], new Float32Array(48)));
      expect(padHeads(q, 3, 8)).toBe(q);
      expect(() => padHeads(q, 5, 5)).toThrow(/expected f32 \[rows, 25\]/);
      return { q };
    });
  });
});
