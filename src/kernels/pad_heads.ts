import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import { expectRows, type Tensor } from '../gpu/tensor.ts';
import { divCeil } from '../util/arith.ts';
import source from '../../shaders/pad_heads.wgsl?raw';
import { paddedHeadDim } from './kv_cache.ts';

const kernel = defineKernel({
  name: 'pad_heads',
  source,
  bindings: { x: 'read', y: 'write' },
});

const WORKGROUP = 64;

/**
 * Fills the heads of queries up with zeros to whole vec4s, as `attention` takes them.
 *
 * @param q - f32 [T, heads · headDim]
 * @returns f32 [T, heads · headDim rounded up to 4]; `q` itself if nothing is missing
 * @throws {ShapeError} if the shape differs
 */
export function padHeads(q: Tensor, heads: number, headDim: number): Tensor {
  const rows = expectRows('pad_heads: q', q, 'f32', heads * headDim);
  const padded = paddedHeadDim(headDim);
  if (padded === headDim) return q;
  const y = q.recorder.scratch('f32', [rows, heads * padded]);
  q.recorder.dispatch(kernel, {
    slots: { HEADS: heads, HEAD_DIM: headDim, WORKGROUP },
    bindings: { x: q, y },
    grid: [divCeil((heads * padded) / 4, WORKGROUP), groupsOf(rows, 1)],
  });
  return y;
}
