import type { DeviceFacts } from '../gpu/facts.ts';
import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import type { Slots } from '../gpu/shader.ts';
import {
  capacityOf,
  expectRows,
  expectShape,
  type DeviceTensor,
  type Extent,
  type Tensor,
} from '../gpu/tensor.ts';
import { divCeil } from '../util/arith.ts';
import { ShapeError } from '../util/errors.ts';
import directSource from '../../shaders/disentangled_direct.wgsl?raw';
import tileSource from '../../shaders/disentangled_tile.wgsl?raw';
import { attentionTileRows, type AttentionState } from './attention.ts';
import { isUsable } from './variants.ts';

const directKernel = defineKernel({
  name: 'disentangled_direct',
  source: directSource,
  bindings: {
    qkv: 'read',
    positionKeys: 'read',
    positionQueries: 'read',
    distanceRows: 'read',
    sequenceOf: 'read',
    sequences: 'read',
    out: 'write',
  },
});

const tileKernel = defineKernel({
  name: 'disentangled_tile',
  source: tileSource,
  bindings: {
    qkv: 'read',
    positionKeys: 'read',
    positionQueries: 'read',
    distanceRows: 'read',
    sequences: 'read',
    tiles: 'read',
    out: 'update',
  },
});

/** Largest head, as of `attention`. */
const MAX_HEAD_DIM = 256;
const DIRECT_THREADS = 4;
const TILE_THREADS = 128;
/** Keys in a tile; fewer where the rows are many, or a value is long. */
const TILE_KEYS = 16;
/** Most vec4s of each key and position that are in workgroup memory at a time; with more, compiling takes long. */
const MAX_SLICE = 4;
/** Workgroup memory that every device has. */
const WORKGROUP_BYTES = 16_384;

/** Keys and queries of relative positions, each f32 [2 · span, heads · headDim]; one that is absent adds nothing. */
export interface PositionTables {
  /** Seen by the content of a query: "c2p". */
  readonly keys?: Tensor | undefined;
  /** Looking at the content of a key: "p2c". */
  readonly queries?: Tensor | undefined;
}

export interface DisentangledOptions {
  readonly heads: number;
  readonly headDim: number;
  /** Factor on the sum of the products, usually (headDim · (1 + tables))^-½. */
  readonly scale: number;
  /** Overrides the choice by device facts; for tests. */
  readonly variant?: DisentangledVariant;
}

/** `direct` is the oracle: a thread per query and head. `tile` shares keys and positions among queries. */
export type DisentangledVariant = 'direct' | 'tile';

/** The kernel for a device with these facts. */
export function chooseDisentangled(
  facts: Pick<DeviceFacts, 'hasSlowBarriers' | 'dropped'>,
): DisentangledVariant {
  return !facts.hasSlowBarriers && isUsable(facts, 'disentangled_tile') ? 'tile' : 'direct';
}

/**
 * Attention in which each token of a sequence sees all of it, and how far a key is from a query is a vector of its own:
 *
 *   score[i, j] = scale · (<q_i, k_j> + <q_i, keys[r]> + <k_j, queries[r]>),   r = row of the distance i - j
 *
 * No matrix of scores is stored; sums are f32. He et al. 2020, DeBERTa, arXiv:2006.03654, eq. 4.
 *
 * @param qkv - f32 [T, 3 · heads · headDim]: queries, keys, values of a step of whole sequences
 * @param distanceRows - u32 [2 · reach + 1], row of each distance from -reach to reach; those beyond count as ±reach
 * @returns f32 [T, heads · headDim]
 * @throws {ShapeError} if shapes differ or a size is out of range
 */
export function disentangledAttention(
  qkv: Tensor,
  positions: PositionTables,
  distanceRows: DeviceTensor,
  state: AttentionState,
  { heads, headDim, scale, variant }: DisentangledOptions,
): Tensor {
  const tokens = checkShapes(qkv, positions, distanceRows, state, heads, headDim);
  const { recorder } = qkv;
  const out = recorder.scratch('f32', [tokens, heads * headDim]);
  const { sequences, sequenceOf, tiles } = state;
  const { keys: positionKeys = qkv, queries: positionQueries = qkv } = positions;
  const inputs = { qkv, positionKeys, positionQueries, distanceRows, sequences };
  const slots: Slots = {
    HEADS: heads,
    HEAD_DIM: headDim,
    SCALE: scale,
    REACH: (capacityOf(distanceRows.shape[0] ?? 0) - 1) / 2,
    HAS_KEYS: positions.keys !== undefined,
    HAS_QUERIES: positions.queries !== undefined,
  };
  const direct = (rows: Extent): void =>
    recorder.dispatch(directKernel, {
      slots: { ...slots, WORKGROUP: DIRECT_THREADS },
      bindings: { ...inputs, sequenceOf, out },
      grid: [divCeil(heads, DIRECT_THREADS), groupsOf(rows, 1)],
    });

  if ((variant ?? chooseDisentangled(recorder.facts)) === 'direct') {
    direct(tokens);
    return out;
  }
  // Sequences of one token have no tile, and they come first.
  const decodes = Math.min(capacityOf(tokens), capacityOf(sequences.shape[0] ?? 0));
  direct({ count: 'decodes', capacity: decodes });
  recorder.dispatch(tileKernel, {
    slots: { ...slots, ...tileShape(headDim) },
    bindings: { ...inputs, tiles, out },
    grid: [groupsOf({ count: 'tiles', capacity: capacityOf(tiles.shape[0] ?? 0) }, 1), heads],
  });
  return out;
}

/** Slots of the tiled kernel: what fits into its workgroup memory. */
function tileShape(headDim: number): Slots {
  const rows = attentionTileRows(headDim);
  const longHead = headDim > 128;
  const keys = longHead || rows > 64 ? TILE_KEYS / 2 : TILE_KEYS;
  const perVec4 = 16 * (keys + 2 * (rows + keys - 1));
  const slice = Math.min(MAX_SLICE, Math.floor((WORKGROUP_BYTES - 4 * keys * rows) / perVec4));
  return { ROWS: rows, PARTS: TILE_THREADS / rows, KEYS: keys, SLICE: slice };
}

function checkShapes(
  qkv: Tensor,
  positions: PositionTables,
  distanceRows: DeviceTensor,
  state: AttentionState,
  heads: number,
  headDim: number,
): Extent {
  const where = 'disentangled_attention';
  if (headDim > MAX_HEAD_DIM) {
    throw new ShapeError(`${where}: headDim is ${headDim}, expected at most ${MAX_HEAD_DIM}`);
  }
  const dim = heads * headDim;
  const tokens = expectRows(`${where}: qkv`, qkv, 'f32', 3 * dim);
  for (const table of [positions.keys, positions.queries]) {
    if (table !== undefined) expectRows(`${where}: position table`, table, 'f32', dim);
  }
  if (positions.keys !== undefined && positions.queries !== undefined) {
    expectShape(`${where}: position queries`, positions.queries, 'f32', positions.keys.shape);
  }
  const distances = capacityOf(expectRows(`${where}: distanceRows`, distanceRows, 'u32'));
  if (distances % 2 !== 1) {
    throw new ShapeError(`${where}: distanceRows has ${distances} entries, expected an odd number`);
  }
  expectRows(`${where}: sequences`, state.sequences, 'u32', 4);
  expectRows(`${where}: tiles`, state.tiles, 'u32', 2);
  return tokens;
}
