import { rowsCost } from '../gpu/cost.ts';
import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import { expectRows, type DeviceTensor, type Extent, type Tensor } from '../gpu/tensor.ts';
import { divCeil } from '../util/arith.ts';
import { ShapeError } from '../util/errors.ts';
import source from '../../shaders/rope_append.wgsl?raw';
import { pageTables, type AttentionState } from './attention_state.ts';
import { kvBytesPerPage, kvLibrary, paddedHeadDim, type KvLayer } from './kv_cache.ts';

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
 * @param state - `positions`, `sequenceOf` and the pages are read
 * @param kv - receives the keys and values, rounded to its dtype; magnitudes over 65504 are clamped for f16, and q8 is
 *   rounded to the nearest of 127 steps up to the largest magnitude of the head
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
  const tokens = expectRows('rope_append: qkv', qkv, 'f32', (heads + 2 * kvHeads) * headDim);
  if (rotaryDim > 0) {
    if (rotary === undefined) throw new ShapeError('rope_append: rotary is missing');
    expectRows('rope_append: rotary', rotary, 'f32', rotaryDim / 2, 2);
  }
  const queries = qkv.recorder.scratch('f32', [tokens, heads * paddedHeadDim(headDim)]);
  const table = rotaryDim > 0 && rotary !== undefined ? rotary : qkv;
  record(qkv, table, state, kv, { heads, rotaryDim, interleaved, tokens, queries });
  return queries;
}

/**
 * Stores keys and values as they are, for cross-attention.
 *
 * @param rows - f32 [T, 2 · kvHeads · headDim]: key heads, value heads
 * @param state - where they belong: `positions`, `sequenceOf` and the pages are read
 * @param kv - receives them, as in {@link ropeAppend}
 * @throws {ShapeError} if the shape differs
 */
export function appendKv(rows: Tensor, state: AttentionState, kv: KvLayer): void {
  const tokens = expectRows('append_kv: rows', rows, 'f32', 2 * kv.kvHeads * kv.headDim);
  // There are no queries, but a binding for them must be there.
  const queries = rows.recorder.scratch('f32', [1, 4]);
  const none = { heads: 0, rotaryDim: 0, interleaved: false };
  record(rows, rows, state, kv, { ...none, tokens, queries });
}

function record(
  rows: Tensor,
  rotary: DeviceTensor,
  state: AttentionState,
  kv: KvLayer,
  options: Omit<RopeAppendOptions, 'kvHeads' | 'headDim'> & {
    readonly tokens: Extent;
    readonly queries: Tensor;
  },
): void {
  const { kvHeads, headDim, keys, values } = kv;
  const { heads, rotaryDim, interleaved, tokens, queries } = options;
  const { tables, width } = pageTables('rope_append', state);
  const { positions, sequenceOf } = state;
  const vec4s = ((heads + 2 * kvHeads) * paddedHeadDim(headDim)) / 4;
  const readBytes = 4 * ((heads + 2 * kvHeads) * headDim + rotaryDim);
  const writtenBytes = 4 * heads * paddedHeadDim(headDim) + kvBytesPerPage(kv) / kv.pageSize;
  rows.recorder.dispatch(kernel, {
    slots: {
      HEADS: heads,
      KV_HEADS: kvHeads,
      HEAD_DIM: headDim,
      ROTARY_DIM: rotaryDim,
      INTERLEAVED: interleaved,
      PAGE: kv.pageSize,
      TABLE: width,
      WORKGROUP,
      KV: kvLibrary(kv.dtype),
    },
    bindings: { qkv: rows, rotary, positions, sequenceOf, tables, queries, keys, values },
    grid: [divCeil(vec4s, WORKGROUP), groupsOf(tokens, 1)],
    cost: rowsCost(tokens, { bytes: readBytes + writtenBytes }),
  });
}
