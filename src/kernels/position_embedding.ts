import { rowsCost } from '../gpu/cost.ts';
import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import { expectRows, expectShape, type DeviceTensor, type Tensor } from '../gpu/tensor.ts';
import { ShapeError } from '../util/errors.ts';
import source from '../../shaders/position_embedding.wgsl?raw';
import { matrixBytes, type Matrix } from './matrix.ts';
import { weightLibrary, workgroupFor } from './variants.ts';

const kernel = defineKernel({
  name: 'position_embedding',
  source,
  bindings: {
    x: 'read',
    tokens: 'read',
    lastTokens: 'read',
    positionIds: 'read',
    table: 'read',
    scales: 'read',
    y: 'write',
  },
});

/** The tokens of a step and their places. */
export interface TokenPlaces {
  /** u32 [rows], as `embedding` takes them. */
  readonly tokens: Tensor;
  /** u32 [slots], ids the sampler wrote. */
  readonly lastTokens: DeviceTensor;
  /** u32 [rows], place of each token among those that are counted, from 0. */
  readonly positionIds: Tensor;
}

/** How places are turned into rows of the table. */
export interface PositionOptions {
  /** Row of place 0. */
  readonly offset: number;
  /** Token id that has no place, and the row it gets instead; both or neither. */
  readonly uncountedId?: number | undefined;
  readonly uncountedRow?: number | undefined;
}

/**
 * Adds the row of each token's position: y[t] = x[t] + table[positionIds[t] + offset].
 *
 * @param x - f32 [rows, dim]
 * @param table - [positions, dim] in any form; the caller sees to it that every place has a row
 * @returns f32 [rows, dim]
 * @throws {ShapeError} if shapes differ, or a row of the options is not in the table
 */
export function positionEmbedding(
  x: Tensor,
  { tokens, lastTokens, positionIds }: TokenPlaces,
  table: Matrix,
  { offset, uncountedId, uncountedRow }: PositionOptions,
): Tensor {
  const rows = expectRows('position_embedding: x', x, 'f32', table.cols);
  expectShape('position_embedding: tokens', tokens, 'u32', [rows]);
  expectShape('position_embedding: positionIds', positionIds, 'u32', [rows]);
  expectRows('position_embedding: lastTokens', lastTokens, 'u32');
  checkRow('offset', offset, table);
  if ((uncountedId === undefined) !== (uncountedRow === undefined)) {
    throw new ShapeError(
      'position_embedding: one of uncountedId and uncountedRow is absent, expected both or neither',
    );
  }
  if (uncountedRow !== undefined) checkRow('uncountedRow', uncountedRow, table);

  const { recorder } = x;
  const y = recorder.scratch('f32', [rows, table.cols]);
  const rowBytes = matrixBytes(table.form, 1, table.cols) + 8 * table.cols;
  for (const shard of table.shards) {
    recorder.dispatch(kernel, {
      slots: {
        DIM: table.cols,
        FIRST_ROW: shard.firstRow,
        TABLE_ROWS: shard.rows,
        OFFSET: offset,
        HAS_UNCOUNTED: uncountedId !== undefined,
        UNCOUNTED_ID: uncountedId ?? 0,
        UNCOUNTED_ROW: uncountedRow ?? 0,
        WORKGROUP: workgroupFor(table.cols),
        WEIGHT: weightLibrary(table.form),
      },
      bindings: {
        x,
        tokens,
        lastTokens,
        positionIds,
        table: shard.tensor,
        scales: shard.scales ?? tokens,
        y,
      },
      grid: [groupsOf(rows, 1)],
      cost: rowsCost(rows, { bytes: rowBytes }),
    });
  }
  return y;
}

function checkRow(name: string, row: number, table: Matrix): void {
  if (Number.isInteger(row) && row >= 0 && row < table.rows) return;
  throw new ShapeError(
    `position_embedding: ${name} is ${row}, expected a row of a table of ${table.rows}`,
  );
}
