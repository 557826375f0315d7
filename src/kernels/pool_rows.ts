import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import {
  expectRows,
  lastAxis,
  type DeviceTensor,
  type Extent,
  type Tensor,
} from '../gpu/tensor.ts';
import source from '../../shaders/pool_rows.wgsl?raw';

const kernel = defineKernel({
  name: 'pool_rows',
  source,
  bindings: { x: 'read', sequences: 'read', y: 'write' },
});

/** Columns that a workgroup averages. */
const COLUMNS = 32;

/**
 * Averages the rows of each sequence. The result for a sequence depends on its own rows only, not on where they lie.
 *
 * @param x - f32 [rows, dim]
 * @param sequences - u32 [any, 4], as `AttentionState.sequences`: first row, number of rows
 * @param count - sequences of the step
 * @returns f32 [count, dim]; sums accumulate in f32
 * @throws {ShapeError} if shapes differ
 */
export function meanRows(x: Tensor, sequences: DeviceTensor, count: Extent): Tensor {
  const dim = lastAxis('pool_rows: x', x);
  expectRows('pool_rows: x', x, 'f32', dim);
  expectRows('pool_rows: sequences', sequences, 'u32', 4);

  const y = x.recorder.scratch('f32', [count, dim]);
  x.recorder.dispatch(kernel, {
    slots: { DIM: dim, COLUMNS },
    bindings: { x, sequences, y },
    grid: [groupsOf(dim, COLUMNS), groupsOf(count, 1)],
  });
  return y;
}
