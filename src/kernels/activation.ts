import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import { expectRows, lastAxis, type Tensor } from '../gpu/tensor.ts';
import source from '../../shaders/activate.wgsl?raw';

const kernel = defineKernel({
  name: 'activate',
  source,
  bindings: { x: 'read', y: 'write' },
});

/** Activation functions, in the order of their numbers in shaders/lib/activation.wgsl. */
export const ACTIVATIONS = [
  'silu',
  'gelu',
  'gelu_tanh',
  'quick_gelu',
  'relu',
  'sigmoid',
  'tanh',
] as const;
export type Activation = (typeof ACTIVATIONS)[number];

const WORKGROUP = 64;

/** The ACTIVATION slot of shaders that include lib/activation.wgsl. */
export function activationSlot(activation: Activation): number {
  return ACTIVATIONS.indexOf(activation);
}

/**
 * Applies an activation function to every element. After a multiplication, `matmul` does so at no cost.
 *
 * @param x - f32 [rows, size]
 * @returns f32 [rows, size]
 * @throws {ShapeError} if `x` has another rank or dtype
 */
export function activate(x: Tensor, activation: Activation): Tensor {
  const size = lastAxis('activate: x', x);
  const rows = expectRows('activate: x', x, 'f32', size);

  const y = x.recorder.scratch('f32', [rows, size]);
  x.recorder.dispatch(kernel, {
    slots: { SIZE: size, ACTIVATION: activationSlot(activation), WORKGROUP },
    bindings: { x, y },
    grid: [groupsOf(size, WORKGROUP), groupsOf(rows, 1)],
  });
  return y;
}
