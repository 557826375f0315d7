import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import type { Slots } from '../gpu/shader.ts';
import {
  expectRows,
  expectShape,
  lastAxis,
  type DeviceTensor,
  type Tensor,
} from '../gpu/tensor.ts';
import source from '../../shaders/rms_norm.wgsl?raw';
import { rowSlots } from './variants.ts';

const kernel = defineKernel({
  name: 'rms_norm',
  source,
  bindings: { x: 'read', weight: 'read', y: 'write' },
});

/**
 * Divides each row of `x` by its root mean square, then scales it by `weight`.
 *
 * @param x - f32 [rows, dim]
 * @param weight - f32 [dim]
 * @param eps - added to the mean square, e.g. 1e-5
 * @returns f32 [rows, dim]; sums accumulate in f32
 * @throws {ShapeError} if `weight` is not [dim]
 */
export function rmsNorm(x: Tensor, weight: DeviceTensor, eps: number): Tensor {
  const dim = lastAxis('rms_norm: x', x);
  const rows = expectRows('rms_norm: x', x, 'f32', dim);
  expectShape('rms_norm: weight', weight, 'f32', [dim]);

  const y = x.recorder.scratch('f32', [rows, dim]);
  x.recorder.dispatch(kernel, {
    slots: slots(x, dim, eps),
    bindings: { x, weight, y },
    grid: [groupsOf(rows, 1)],
  });
  return y;
}

function slots(x: Tensor, dim: number, eps: number): Slots {
  return { DIM: dim, EPS: eps, ...rowSlots(x.recorder.facts, dim) };
}
