import type { DeviceFacts } from '../gpu/device.ts';
import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import type { Slots } from '../gpu/shader.ts';
import {
  capacityOf,
  expectRows,
  expectShape,
  type DeviceTensor,
  type Dim,
  type Tensor,
} from '../gpu/tensor.ts';
import { divCeil, nextPowerOfTwo } from '../util/arith.ts';
import { ShapeError } from '../util/errors.ts';
import combineSource from '../../shaders/attention_combine.wgsl?raw';
import directSource from '../../shaders/attention_direct.wgsl?raw';
import splitSource from '../../shaders/attention_split.wgsl?raw';
import tileSource from '../../shaders/attention_tile.wgsl?raw';
import { pageTables, type AttentionState } from './attention_state.ts';
import { kvLibrary, paddedHeadDim, type KvLayer } from './kv_cache.ts';
import { isUsable, reduceLibrary } from './variants.ts';

export type { AttentionState } from './attention_state.ts';

const tileKernel = defineKernel({
  name: 'attention_tile',
  source: tileSource,
  bindings: {
    queries: 'read',
    keys: 'read',
    values: 'read',
    sequences: 'read',
    tables: 'read',
    tiles: 'read',
    bias: 'read',
    out: 'update',
  },
});

const splitKernel = defineKernel({
  name: 'attention_split',
  source: splitSource,
  bindings: {
    queries: 'read',
    keys: 'read',
    values: 'read',
    sequences: 'read',
    tables: 'read',
    bias: 'read',
    out: 'write',
    pieces: 'write',
    counts: 'uniform',
  },
});

const combineKernel = defineKernel({
  name: 'attention_combine',
  source: combineSource,
  bindings: { pieces: 'read', out: 'update', counts: 'uniform' },
});

const directKernel = defineKernel({
  name: 'attention_direct',
  source: directSource,
  bindings: {
    queries: 'read',
    keys: 'read',
    values: 'read',
    sequences: 'read',
    sequenceOf: 'read',
    tables: 'read',
    bias: 'read',
    out: 'write',
  },
});

/** Largest head: registers and the 16 KiB of workgroup memory are planned for it. */
const MAX_HEAD_DIM = 256;
/** Threads of the one-query kernel, and so keys in a tile of it. */
const SPLIT_THREADS = 128;
/** Most query heads, and most vec4s of queries, that a workgroup of the one-query kernel takes. */
const BLOCK_HEADS = 8;
const BLOCK_VEC4S = 256;
const TILE_THREADS = 128;
/** Most vec4s of a query, and of its output, in one thread of the many-query kernel. */
const TILE_PART_VEC4S = 8;
const COMBINE_THREADS = 64;
const DIRECT_THREADS = 4;
/** Pieces the keys of one sequence are cut into at most, unless an option says otherwise. */
const MAX_SPLITS = 16;

/** A term of the scores that depends on how far apart query and key are, as in T5. */
export interface RelativeBias {
  /** f32 [2 · reach + 1, heads]; row reach + d is for keys d positions after the query. */
  readonly table: DeviceTensor;
  /** Pairs that are farther apart get what those at this distance get. */
  readonly reach: number;
}

export interface AttentionOptions {
  /** Query heads; a multiple of the cache's heads, which are shared by neighbours. */
  readonly heads: number;
  /** Factor on the scores, usually headDim^-½. */
  readonly scale: number;
  /** Whether a query sees no key after its own; default true. */
  readonly causal?: boolean | undefined;
  /**
   * How far a query sees; as far as there are keys if absent. Causal: the keys it sees, its own included. Else: the
   * largest distance, to both sides.
   */
  readonly window?: number | undefined;
  /** Added to the scaled scores. */
  readonly bias?: RelativeBias | undefined;
  /** Most pieces the step may cut keys into (`counts.splits`). */
  readonly maxSplits?: number;
  /** Overrides the choice by device facts; for tests. */
  readonly variant?: AttentionVariant;
}

/** `direct` is the oracle: a thread per query and head, no barriers. `tiled` shares keys among queries and threads. */
export type AttentionVariant = 'direct' | 'tiled';

/** The kernels for a device with these facts. */
export function chooseAttention(
  facts: Pick<DeviceFacts, 'hasSlowBarriers' | 'dropped'>,
): AttentionVariant {
  return !facts.hasSlowBarriers && isUsable(facts, 'attention_tiled') ? 'tiled' : 'direct';
}

/** Packed rows in a tile of the many-query kernel. */
export function attentionTileRows(headDim: number): number {
  return TILE_THREADS / tileParts(headDim);
}

/**
 * Number of pieces to cut each sequence's keys into, so that about `target` workgroups run and none has less
 * than one tile of keys.
 *
 * @param kvLength - keys of the longest sequence
 */
export function chooseSplits(step: {
  readonly decodes: number;
  readonly kvHeads: number;
  readonly kvLength: number;
  readonly pageSize: number;
  readonly target: number;
  readonly maxSplits?: number;
}): number {
  const { decodes, kvHeads, kvLength, pageSize, target, maxSplits = MAX_SPLITS } = step;
  const wanted = divCeil(target, Math.max(1, decodes * kvHeads));
  const worthwhile = divCeil(kvLength, Math.max(pageSize, SPLIT_THREADS));
  return Math.max(1, Math.min(wanted, worthwhile, maxSplits));
}

/**
 * Attention of a step's queries over the paged cache, which already holds the keys and values that they see: the step's
 * own, or for cross-attention (neither causal nor with a window or bias) those of another text.
 *
 * Scores, probabilities and sums are f32 whatever the cache's type; no matrix of scores is stored.
 *
 * @param queries - f32 [T, heads · headDim rounded up to 4], zero-padded, as `ropeAppend` returns them
 * @returns f32 [T, heads · headDim]
 * @throws {ShapeError} if shapes differ, heads is no multiple of the cache's, or a size is out of range
 */
export function attention(
  queries: Tensor,
  state: AttentionState,
  kv: KvLayer,
  options: AttentionOptions,
): Tensor {
  const { heads, scale, maxSplits = MAX_SPLITS } = options;
  const { kvHeads, headDim, keys, values } = kv;
  checkSizes(kv, options);
  const padded = paddedHeadDim(headDim);
  const tokens = expectRows('attention: queries', queries, 'f32', heads * padded);
  expectRows('attention: tiles', state.tiles, 'u32', 2);
  const sequences = capacityOf(expectRows('attention: sequences', state.sequences, 'u32', 4));
  const decodes = Math.min(sequences, capacityOf(tokens));

  const { tables, width } = pageTables('attention', state);
  const { recorder } = queries;
  const out = recorder.scratch('f32', [tokens, heads * headDim]);
  const slots: Slots = {
    HEADS: heads,
    KV_HEADS: kvHeads,
    HEAD_DIM: headDim,
    SCALE: scale,
    ...maskSlots(options),
    PAGE: kv.pageSize,
    TABLE: width,
    KV: kvLibrary(kv.dtype),
  };
  // Without a bias the binding is read by nobody, but must be there.
  const bias = options.bias?.table ?? queries;
  const inputs = { queries, keys, values, sequences: state.sequences, tables, bias };

  if ((options.variant ?? chooseAttention(recorder.facts)) === 'direct') {
    recorder.dispatch(directKernel, {
      slots: { ...slots, WORKGROUP: DIRECT_THREADS },
      bindings: { ...inputs, sequenceOf: state.sequenceOf, out },
      grid: [divCeil(heads, DIRECT_THREADS), groupsOf(tokens, 1)],
    });
    return out;
  }
  const pieces = recorder.scratch('f32', [
    { count: 'decodes', capacity: decodes },
    maxSplits,
    heads,
    padded + 4,
  ]);
  const perBlock = headsPerBlock(heads / kvHeads, headDim);
  recorder.dispatch(splitKernel, {
    slots: {
      ...slots,
      HEADS_PER_BLOCK: perBlock,
      MAX_SPLITS: maxSplits,
      WORKGROUP: SPLIT_THREADS,
      REDUCE: reduceLibrary(recorder.facts),
    },
    bindings: { ...inputs, out, pieces },
    grid: [
      kvHeads * divCeil(heads / kvHeads, perBlock),
      perUnit('splits', maxSplits),
      perUnit('decodes', decodes),
    ],
  });
  recorder.dispatch(combineKernel, {
    slots: { HEADS: heads, HEAD_DIM: headDim, MAX_SPLITS: maxSplits, WORKGROUP: COMBINE_THREADS },
    bindings: { pieces, out },
    grid: [divCeil((heads * padded) / 4, COMBINE_THREADS), perUnit('combines', decodes)],
  });
  recorder.dispatch(tileKernel, {
    slots: {
      ...slots,
      ROWS: attentionTileRows(headDim),
      PARTS: tileParts(headDim),
      KEYS: tileKeys(headDim),
    },
    bindings: { ...inputs, tiles: state.tiles, out },
    grid: [perUnit('tiles', capacityOf(state.tiles.shape[0] ?? 0)), kvHeads],
  });
  return out;
}

/** A grid axis with one workgroup for each unit of a count. */
function perUnit(count: Dim['count'], capacity: number): ReturnType<typeof groupsOf> {
  return groupsOf({ count, capacity }, 1);
}

/** Threads that share a row of the many-query kernel. */
function tileParts(headDim: number): number {
  return nextPowerOfTwo(divCeil(paddedHeadDim(headDim) / 4, TILE_PART_VEC4S));
}

/** Keys in a tile of the many-query kernel: with the partial scores, 16 KiB of workgroup memory at most. */
function tileKeys(headDim: number): number {
  return tileParts(headDim) > 4 ? 8 : 16;
}

/** Query heads per workgroup of the one-query kernel: as even as they can be shared out. */
function headsPerBlock(group: number, headDim: number): number {
  const most = Math.min(BLOCK_HEADS, Math.floor(BLOCK_VEC4S / (paddedHeadDim(headDim) / 4)));
  return divCeil(group, divCeil(group, most));
}

/** The slots of `shaders/lib/attention_window.wgsl` and `attention_bias.wgsl`. */
function maskSlots({ causal = true, window, bias }: AttentionOptions): Slots {
  const toEachSide = window === undefined ? 0 : window + Number(!causal);
  return { CAUSAL: causal, WINDOW: toEachSide, BIAS_ROWS: bias ? 2 * bias.reach + 1 : 0 };
}

function checkSizes(
  { kvHeads, headDim }: KvLayer,
  { heads, causal = true, window, bias, maxSplits = MAX_SPLITS }: AttentionOptions,
): void {
  if (heads % kvHeads !== 0) {
    throw new ShapeError(
      `attention: ${heads} heads, expected a multiple of the cache's ${kvHeads}`,
    );
  }
  if (headDim > MAX_HEAD_DIM) {
    throw new ShapeError(`attention: headDim is ${headDim}, expected at most ${MAX_HEAD_DIM}`);
  }
  if (window !== undefined && window < Number(causal)) {
    throw new ShapeError(`attention: window is ${window}, expected at least ${Number(causal)}`);
  }
  if (bias !== undefined) {
    expectShape('attention: bias', bias.table, 'f32', [2 * bias.reach + 1, heads]);
  }
  if (maxSplits < 1) {
    throw new ShapeError(`attention: maxSplits is ${maxSplits}, expected at least 1`);
  }
}
