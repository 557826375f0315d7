import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import { expectRows, lastAxis, type Tensor } from '../gpu/tensor.ts';
import { ShapeError } from '../util/errors.ts';
import source from '../../shaders/gated_activation.wgsl?raw';
import { activationSlot, type Activation } from './activation.ts';

const kernel = defineKernel({
  name: 'gated_activation',
  source,
  bindings: { x: 'read', y: 'write' },
});

const WORKGROUP = 64;

/**
 * Gated linear unit: multiplies the second half of each row by the activation of the first half.
 *
 * @param x - f32 [rows, 2 size]: gate, then up
 * @returns f32 [rows, size]
 * @throws {ShapeError} if the rows of `x` have an odd size
 */
export function gatedActivation(x: Tensor, activation: Activation): Tensor {
  const size = lastAxis('gated_activation: x', x) / 2;
  if (!Number.isInteger(size)) {
    throw new ShapeError(
      `gated_activation: rows of x have ${size * 2} elements, expected an even number`,
    );
  }
  const rows = expectRows('gated_activation: x', x, 'f32', size * 2);

  const y = x.recorder.scratch('f32', [rows, size]);
  x.recorder.dispatch(kernel, {
    slots: { SIZE: size, ACTIVATION: activationSlot(activation), WORKGROUP },
    bindings: { x, y },
    grid: [groupsOf(size, WORKGROUP), groupsOf(rows, 1)],
  });
  return y;
}
