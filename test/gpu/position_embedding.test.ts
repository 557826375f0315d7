import { describe, expect, it } from 'vitest';
import { LAST_TOKEN } from '../../src/kernels/embedding.ts';
import { positionEmbedding, type PositionOptions } from '../../src/kernels/position_embedding.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { random, runOp, upload } from '../support/run_op.ts';
import { uploadMatrix } from '../support/weights.ts';

const TABLE_ROWS = 40;
const TOKENS = Uint32Array.of(9, 1, 7, LAST_TOKEN, LAST_TOKEN + 1);
const IDS = [9, 1, 7, 1, 8];
const PLACES = Uint32Array.of(0, 1, 29, 5, 37);

describeOnAdapters('position_embedding', (open) => {
  describe.each([
    { dtype: 'f32', dim: 64, shardRows: 40 },
    { dtype: 'f16', dim: 45, shardRows: 40 },
    { dtype: 'bf16', dim: 3, shardRows: 8 },
    { dtype: 'f32', dim: 1000, shardRows: 7 },
    { dtype: 'f16', dim: 1, shardRows: 40 },
  ] as const)('$dtype, dim $dim, $shardRows rows per shard', ({ dtype, dim, shardRows }) => {
    it.each<PositionOptions>([
      { offset: 0 },
      { offset: 2 },
      { offset: 2, uncountedId: 1, uncountedRow: 1 },
      { offset: 1, uncountedId: 0, uncountedRow: 0 },
    ])('%o', async (options) => {
      const device = await open();
      const values = random(TABLE_ROWS * dim, 1);
      const { matrix, stored } = uploadMatrix(device, dtype, TABLE_ROWS, dim, values, shardRows);
      const x = random(IDS.length * dim, 2);
      const { y } = await runOp(device, {}, (r) => {
        const ids = {
          tokens: r.tensor(upload(device, 'u32', [IDS.length], TOKENS)),
          lastTokens: upload(device, 'u32', [2], Uint32Array.of(1, 8)),
          positionIds: r.tensor(upload(device, 'u32', [IDS.length], PLACES)),
        };
        const input = r.tensor(upload(device, 'f32', [IDS.length, dim], x));
        return { y: positionEmbedding(input, ids, matrix, options) };
      });
      const rows = IDS.map((id, t) =>
        id === options.uncountedId
          ? (options.uncountedRow ?? 0)
          : (PLACES[t] ?? 0) + options.offset,
      );
      const expected = x.map((v, i) => {
        const row = rows[Math.floor(i / dim)] ?? 0;
        return v + (stored[row * dim + (i % dim)] ?? 0);
      });
      expect([...y.f32]).toEqual([...expected]);
    });
  });

  it.each([
    [{ offset: 40 }, 'offset is 40, expected a row of a table of 40'],
    [{ offset: 0, uncountedId: 1, uncountedRow: 41 }, 'uncountedRow is 41'],
    [{ offset: 0, uncountedId: 1 }, 'expected both or neither'],
  ])('refuses %o', async (options, message) => {
    const device = await open();
    const { matrix } = uploadMatrix(device, 'f32', TABLE_ROWS, 4, random(TABLE_ROWS * 4, 1));
    await expect(
      runOp(device, {}, (r) => {
        const ids = r.tensor(upload(device, 'u32', [1], Uint32Array.of(0)));
        const places = { tokens: ids, lastTokens: ids, positionIds: ids };
        const x = r.tensor(upload(device, 'f32', [1, 4], random(4, 1)));
        return { y: positionEmbedding(x, places, matrix, options) };
      }),
    ).rejects.toThrow(message);
  });
});
