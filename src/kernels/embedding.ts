import { rowsCost } from '../gpu/cost.ts';
import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import { expectRows, expectShape, type DeviceTensor, type Tensor } from '../gpu/tensor.ts';
import source from '../../shaders/embedding.wgsl?raw';
import { matrixBytes, type Matrix } from './matrix.ts';
import { weightLibrary, workgroupFor } from './variants.ts';

const kernel = defineKernel({
  name: 'embedding',
  source,
  bindings: {
    tokens: 'read',
    lastTokens: 'read',
    table: 'read',
    scales: 'read',
    add: 'read',
    y: 'write',
  },
});

/** Marks an entry of `tokens` as "the id sampled last in this slot" instead of a token id. */
export const LAST_TOKEN = 0x80000000;

export interface EmbeddingOptions {
  /** Factor on the row. */
  readonly scale?: number | undefined;
  /** f32 [rows, dim], added to the scaled row. */
  readonly add?: Tensor | undefined;
}

/**
 * Looks up the row of `table` for each token: y[t] = scale · table[token(t)] + add[t].
 *
 * @param tokens - u32 [rows]; a token id below `table.rows`, or `LAST_TOKEN + slot`
 * @param lastTokens - u32 [slots], ids the sampler wrote
 * @param table - [vocab, dim] in any form
 * @returns f32 [rows, dim]
 * @throws {ShapeError} if `tokens` or `lastTokens` is not u32 with one axis, or `add` has another shape
 */
export function embedding(
  tokens: Tensor,
  lastTokens: DeviceTensor,
  table: Matrix,
  { scale = 1, add }: EmbeddingOptions = {},
): Tensor {
  const rows = expectRows('embedding: tokens', tokens, 'u32');
  expectRows('embedding: lastTokens', lastTokens, 'u32');
  if (add !== undefined) expectShape('embedding: add', add, 'f32', [rows, table.cols]);
  const { recorder } = tokens;
  const y = recorder.scratch('f32', [rows, table.cols]);
  const rowBytes = matrixBytes(table.form, 1, table.cols) + 4 * table.cols * (add ? 2 : 1);
  for (const shard of table.shards) {
    recorder.dispatch(kernel, {
      slots: {
        DIM: table.cols,
        FIRST_ROW: shard.firstRow,
        TABLE_ROWS: shard.rows,
        SCALE: scale,
        HAS_ADD: add !== undefined,
        WORKGROUP: workgroupFor(table.cols),
        WEIGHT: weightLibrary(table.form),
      },
      bindings: {
        tokens,
        lastTokens,
        table: shard.tensor,
        scales: shard.scales ?? tokens,
        add: add ?? tokens,
        y,
      },
      grid: [groupsOf(rows, 1)],
      cost: rowsCost(rows, { bytes: rowBytes }),
    });
  }
  return y;
}
