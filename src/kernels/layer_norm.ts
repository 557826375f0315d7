import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import type { Slots } from '../gpu/shader.ts';
import {
  expectRows,
  expectShape,
  lastAxis,
  type DeviceTensor,
  type Extent,
  type Tensor,
} from '../gpu/tensor.ts';
import addSource from '../../shaders/add_layer_norm.wgsl?raw';
import source from '../../shaders/layer_norm.wgsl?raw';
import { rowSlots } from './variants.ts';

const kernel = defineKernel({
  name: 'layer_norm',
  source,
  bindings: { x: 'read', weight: 'read', bias: 'read', y: 'write' },
});

const addKernel = defineKernel({
  name: 'add_layer_norm',
  source: addSource,
  bindings: { x: 'update', delta: 'read', weight: 'read', bias: 'read', y: 'write' },
});

/**
 * Shifts and scales each row of `x` to mean 0 and variance 1, then scales it by `weight` and adds `bias`.
 *
 * @param x - f32 [rows, dim]
 * @param weight - f32 [dim]
 * @param bias - f32 [dim]
 * @param eps - added to the variance, e.g. 1e-12
 * @returns f32 [rows, dim]; sums accumulate in f32, of differences from the mean
 * @throws {ShapeError} if `weight` or `bias` is not [dim]
 */
export function layerNorm(
  x: Tensor,
  weight: DeviceTensor,
  bias: DeviceTensor | undefined,
  eps: number,
): Tensor {
  const { rows, dim, slots } = check('layer_norm', x, weight, bias, eps);
  const y = x.recorder.scratch('f32', [rows, dim]);
  x.recorder.dispatch(kernel, {
    slots,
    bindings: { x, weight, bias: bias ?? weight, y },
    grid: [groupsOf(rows, 1)],
  });
  return y;
}

/**
 * Adds `delta` to `x` in place, and normalizes the sum as {@link layerNorm} does.
 *
 * @param x - f32 [rows, dim]; holds the sum afterwards
 * @param delta - f32 [rows, dim]
 * @returns the normalized sum, f32 [rows, dim]
 * @throws {ShapeError} if the shapes differ
 */
export function addLayerNorm(
  x: Tensor,
  delta: Tensor,
  weight: DeviceTensor,
  bias: DeviceTensor | undefined,
  eps: number,
): Tensor {
  const { rows, dim, slots } = check('add_layer_norm', x, weight, bias, eps);
  expectShape('add_layer_norm: delta', delta, 'f32', [rows, dim]);
  const y = x.recorder.scratch('f32', [rows, dim]);
  x.recorder.dispatch(addKernel, {
    slots,
    bindings: { x, delta, weight, bias: bias ?? weight, y },
    grid: [groupsOf(rows, 1)],
  });
  return y;
}

function check(
  where: string,
  x: Tensor,
  weight: DeviceTensor,
  bias: DeviceTensor | undefined,
  eps: number,
): { readonly rows: Extent; readonly dim: number; readonly slots: Slots } {
  const dim = lastAxis(`${where}: x`, x);
  const rows = expectRows(`${where}: x`, x, 'f32', dim);
  expectShape(`${where}: weight`, weight, 'f32', [dim]);
  if (bias !== undefined) expectShape(`${where}: bias`, bias, 'f32', [dim]);
  const slots: Slots = {
    DIM: dim,
    EPS: eps,
    HAS_BIAS: bias !== undefined,
    ...rowSlots(x.recorder.facts, dim),
  };
  return { rows, dim, slots };
}
