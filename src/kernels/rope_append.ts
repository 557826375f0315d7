import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import { expectRows, lastAxis, type DeviceTensor, type Tensor } from '../gpu/tensor.ts';
import { divCeil } from '../util/arith.ts';
import { ShapeError } from '../util/errors.ts';
import source from '../../shaders/rope_append.wgsl?raw';
import type { AttentionState } from './attention.ts';
import { kvLibrary, paddedHeadDim, type KvLayer } from './kv_cache.ts';

const kernel = defineKernel({
  name: 'rope_append',
  source,
  bindings: {
    qkv: 'read',
    rotary: 'read',
    positions: 'read',
    sequenceOf: 'read',
    tables: 'read',
    queries: 'write',
    keys: 'update',
    values: 'update',
  },
});

const WORKGROUP = 64;

export interface RopeAppendOptions {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Dims of a head that are rotated, the first ones; even, 0 for none. */
  readonly rotaryDim: number;
  /** Pairs are dims (2i, 2i + 1), as in GPT-J; else (i, i + rotaryDim / 2), as in GPT-NeoX and LLaMA. */
  readonly interleaved: boolean;
}

/**
 * Rotates queries and keys by their positions and stores the step's keys and values in the cache.
 *
 * @param qkv - f32 [T, (heads + 2 kvHeads) · headDim]: query heads, key heads, value heads
 * @param rotary - f32 [≥ T, rotaryDim / 2, 2]: cos and sin of each token's angles; not read if rotaryDim is 0
 * @param state - `positions`, `sequenceOf` and `tables` are read
 * @param kv - receives the keys and values, rounded to its dtype; magnitudes over 65504 are clamped for f16
 * @returns rotated queries, f32 [T, heads · headDim rounded up to 4], padded with zeros
 * @throws {ShapeError} if a shape differs, or rotaryDim is odd or larger than headDim
 */
export function ropeAppend(
  qkv: Tensor,
  rotary: DeviceTensor | undefined,
  state: AttentionState,
  kv: KvLayer,
  { heads, kvHeads, headDim, rotaryDim, interleaved }: RopeAppendOptions,
): Tensor {
  if (kv.kvHeads !== kvHeads || kv.headDim !== headDim) {
    throw new ShapeError(
      `rope_append: the cache has ${kv.kvHeads} heads of ${kv.headDim}, expected ${kvHeads} of ${headDim}`,
    );
  }
  if (rotaryDim % 2 !== 0 || rotaryDim < 0 || rotaryDim > headDim) {
    throw new ShapeError(
      `rope_append: rotaryDim is ${rotaryDim}, expected an even number from 0 to headDim ${headDim}`,
    );
  }
  const allHeads = heads + 2 * kvHeads;
  const tokens = expectRows('rope_append: qkv', qkv, 'f32', allHeads * headDim);
  if (rotaryDim > 0) {
    if (rotary === undefined) throw new ShapeError('rope_append: rotary is missing');
    expectRows('rope_append: rotary', rotary, 'f32', rotaryDim / 2, 2);
  }

  const padded = paddedHeadDim(headDim);
  const queries = qkv.recorder.scratch('f32', [tokens, heads * padded]);
  qkv.recorder.dispatch(kernel, {
    slots: {
      HEADS: heads,
      KV_HEADS: kvHeads,
      HEAD_DIM: headDim,
      ROTARY_DIM: rotaryDim,
      INTERLEAVED: interleaved,
      PAGE: kv.pageSize,
      TABLE: lastAxis('rope_append: tables', state.tables),
      WORKGROUP,
      KV: kvLibrary(kv.dtype),
    },
    bindings: {
      qkv,
      rotary: rotaryDim > 0 && rotary !== undefined ? rotary : qkv,
      positions: state.positions,
      sequenceOf: state.sequenceOf,
      tables: state.tables,
      queries,
      keys: kv.keys,
      values: kv.values,
    },
    grid: [divCeil((allHeads * padded) / 4, WORKGROUP), groupsOf(tokens, 1)],
  });
  return queries;
}
