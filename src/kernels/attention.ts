import type { DeviceFacts } from '../gpu/device.ts';
import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import type { Slots } from '../gpu/shader.ts';
import {
  capacityOf,
  expectRows,
  lastAxis,
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
import { kvLibrary, paddedHeadDim, type KvLayer } from './kv_cache.ts';
import { isUsable, reduceLibrary } from './variants.ts';

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
    positions: 'read',
    sequenceOf: 'read',
    tables: 'read',
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

/**
 * Where the tokens and sequences of a step lie, in step state; all u32.
 *
 * Sequences with exactly one token in the step come first, `counts.decodes` of them, and their tokens are the
 * first rows. A ring of pages must hold every key that a query of the step sees.
 */
export interface AttentionState {
  /** [maxTokens], position of each token in its sequence. */
  readonly positions: DeviceTensor;
  /** [maxTokens], sequence of each token. */
  readonly sequenceOf: DeviceTensor;
  /**
   * [maxSequences, 4]: first row, tokens in this step, keys including this step's, unused. Token i of a
   * sequence is at position keys − tokens + i.
   */
  readonly sequences: DeviceTensor;
  /** [maxSequences, width]: the page with tokens pageSize · b ff. of a sequence is entry b % width. */
  readonly tables: DeviceTensor;
  /**
   * [maxTiles, 2]: sequence, first packed row. A sequence with n > 1 tokens has n · heads / kvHeads packed
   * rows, and a tile for every {@link attentionTileRows} of them.
   */
  readonly tiles: DeviceTensor;
}

export interface AttentionOptions {
  /** Query heads; a multiple of the cache's heads, which are shared by neighbours. */
  readonly heads: number;
  /** Factor on the scores, usually headDim^-½. */
  readonly scale: number;
  /** Keys a query sees, its own included; all before it if absent. */
  readonly window?: number | undefined;
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
 * Causal attention of a step's queries over the paged cache, which already holds the step's keys and values.
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
  { heads, scale, window, maxSplits = MAX_SPLITS, variant }: AttentionOptions,
): Tensor {
  const { kvHeads, headDim, keys, values } = kv;
  checkSizes(heads, kv, window, maxSplits);
  const padded = paddedHeadDim(headDim);
  const tokens = expectRows('attention: queries', queries, 'f32', heads * padded);
  expectRows('attention: tiles', state.tiles, 'u32', 2);
  const sequences = capacityOf(expectRows('attention: sequences', state.sequences, 'u32', 4));
  const decodes = Math.min(sequences, capacityOf(tokens));

  const { recorder } = queries;
  const out = recorder.scratch('f32', [tokens, heads * headDim]);
  const slots: Slots = {
    HEADS: heads,
    KV_HEADS: kvHeads,
    HEAD_DIM: headDim,
    SCALE: scale,
    WINDOW: window ?? 0,
    PAGE: kv.pageSize,
    TABLE: lastAxis('attention: tables', state.tables),
    KV: kvLibrary(kv.dtype),
  };
  const inputs = { queries, keys, values, sequences: state.sequences, tables: state.tables };

  if ((variant ?? chooseAttention(recorder.facts)) === 'direct') {
    const { positions, sequenceOf, tables } = state;
    recorder.dispatch(directKernel, {
      slots: { ...slots, WORKGROUP: DIRECT_THREADS },
      bindings: { queries, keys, values, positions, sequenceOf, tables, out },
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

function checkSizes(
  heads: number,
  { kvHeads, headDim }: KvLayer,
  window: number | undefined,
  maxSplits: number,
): void {
  if (heads % kvHeads !== 0) {
    throw new ShapeError(
      `attention: ${heads} heads, expected a multiple of the cache's ${kvHeads}`,
    );
  }
  if (headDim > MAX_HEAD_DIM) {
    throw new ShapeError(`attention: headDim is ${headDim}, expected at most ${MAX_HEAD_DIM}`);
  }
  if (window !== undefined && window < 1) {
    throw new ShapeError(`attention: window is ${window}, expected at least 1`);
  }
  if (maxSplits < 1) {
    throw new ShapeError(`attention: maxSplits is ${maxSplits}, expected at least 1`);
  }
}
