import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import { expectRows, lastAxis, type Tensor } from '../gpu/tensor.ts';
import { ShapeError } from '../util/errors.ts';
import source from '../../shaders/unfold_rows.wgsl?raw';
import type { AttentionState } from './attention.ts';
import { workgroupFor } from './variants.ts';

const kernel = defineKernel({
  name: 'unfold_rows',
  source,
  bindings: { x: 'read', sequenceOf: 'read', sequences: 'read', y: 'write' },
});

/**
 * Puts each row beside its neighbors in the sequence, so that a matrix product is a convolution over the tokens
 * ("im2col"): with the weight [outDim, dim, size] of a convolution read as [outDim, dim · size].
 *
 * @param x - f32 [T, dim] of a step of whole sequences
 * @param size - rows side by side, odd; the middle one is the row itself
 * @returns f32 [T, dim · size]; element i · size + k is x[t + k − ⌊size / 2⌋, i], 0 beyond the sequence's ends
 * @throws {ShapeError} if shapes differ or `size` is even
 */
export function unfoldRows(
  x: Tensor,
  { sequenceOf, sequences }: Pick<AttentionState, 'sequenceOf' | 'sequences'>,
  size: number,
): Tensor {
  const dim = lastAxis('unfold_rows: x', x);
  const rows = expectRows('unfold_rows: x', x, 'f32', dim);
  expectRows('unfold_rows: sequenceOf', sequenceOf, 'u32');
  expectRows('unfold_rows: sequences', sequences, 'u32', 4);
  if (size % 2 !== 1) {
    throw new ShapeError(`unfold_rows: size is ${size}, expected an odd number of rows`);
  }

  const y = x.recorder.scratch('f32', [rows, dim * size]);
  x.recorder.dispatch(kernel, {
    slots: { DIM: dim, SIZE: size, WORKGROUP: workgroupFor(dim * size) },
    bindings: { x, sequenceOf, sequences, y },
    grid: [groupsOf(rows, 1)],
  });
  return y;
}
