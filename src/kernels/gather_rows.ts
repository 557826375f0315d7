import { rowsCost } from '../gpu/cost.ts';
import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import { expectRows, lastAxis, type Tensor } from '../gpu/tensor.ts';
import source from '../../shaders/gather_rows.wgsl?raw';
import { workgroupFor } from './variants.ts';

const kernel = defineKernel({
  name: 'gather_rows',
  source,
  bindings: { x: 'read', rows: 'read', y: 'write' },
});

/**
 * Copies chosen rows.
 *
 * @param x - f32 [any, dim]
 * @param rows - u32 [n], indices into `x`
 * @returns f32 [n, dim]
 * @throws {ShapeError} if `rows` is not u32 [n]
 */
export function gatherRows(x: Tensor, rows: Tensor): Tensor {
  const dim = lastAxis('gather_rows: x', x);
  expectRows('gather_rows: x', x, 'f32', dim);
  const count = expectRows('gather_rows: rows', rows, 'u32');

  const y = x.recorder.scratch('f32', [count, dim]);
  x.recorder.dispatch(kernel, {
    slots: { DIM: dim, WORKGROUP: workgroupFor(dim) },
    bindings: { x, rows, y },
    grid: [groupsOf(count, 1)],
    cost: rowsCost(count, { bytes: 8 * dim }),
  });
  return y;
}
