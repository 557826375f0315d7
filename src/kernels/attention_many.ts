/** Attention of many queries per sequence: prompts, and the texts of encoders. @module */
import { defineKernel } from '../gpu/kernel.ts';
import { capacityOf } from '../gpu/tensor.ts';
import { divCeil, nextPowerOfTwo } from '../util/arith.ts';
import source from '../../shaders/attention_tile.wgsl?raw';
import {
  attentionCost,
  shapeName,
  type AttentionCall,
  type AttentionFacts,
  type AttentionShape,
} from './attention_call.ts';
import { paddedHeadDim } from './kv_cache.ts';

const kernel = defineKernel({
  name: 'attention_tile',
  source,
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

/** How a tile of rows is shared out to threads. */
interface TileVariant {
  /** Rows of a thread, so that a key that it reads serves them all. */
  readonly tall: number;
  /** Most vec4s of a row in one thread. */
  readonly part4: number;
}

export type ManyVariant = 'tile_1x8' | 'tile_2x8' | 'tile_4x4' | 'tile_4x8' | 'tile_8x8';

/** Every variant by its name: rows by vec4s in the registers of a thread. */
export const MANY_VARIANTS: Readonly<Record<ManyVariant, TileVariant>> = {
  tile_1x8: { tall: 1, part4: 8 },
  tile_2x8: { tall: 2, part4: 8 },
  tile_4x4: { tall: 4, part4: 4 },
  tile_4x8: { tall: 4, part4: 8 },
  tile_8x8: { tall: 8, part4: 8 },
};

/** Threads to a tile of the heads that fit into one thread, and least threads side by side. */
const TILE_ROWS = 128;
const ROW_VEC4S = 8;
const LEAST_WIDE = 8;
/** Workgroup memory that every device has. */
const WORKGROUP_BYTES = 16_384;

/** Packed rows in a tile, whatever the variant: fewer for large heads. */
export function attentionTileRows(headDim: number): number {
  return TILE_ROWS / partsOf(headDim, ROW_VEC4S);
}

/** Variants that can run, the one to use unmeasured first. */
export function manyCandidates(
  { isSoftware, vendor }: Pick<AttentionFacts, 'isSoftware' | 'vendor'>,
  { headDim }: AttentionShape,
): readonly ManyVariant[] {
  const preferred: readonly ManyVariant[] = isSoftware
    ? ['tile_8x8', 'tile_4x8', 'tile_2x8']
    : /nvidia|amd|apple/.test(vendor)
      ? ['tile_2x8', 'tile_1x8', 'tile_4x4']
      : ['tile_1x8', 'tile_2x8', 'tile_4x4'];
  return preferred.filter((name) => suits(name, headDim));
}

/** Whether a variant has threads enough for heads of this size. */
export function suits(name: ManyVariant, headDim: number): boolean {
  return attentionTileRows(headDim) / MANY_VARIANTS[name].tall >= LEAST_WIDE;
}

/** Records the attention of the step's tiles. */
export function recordMany(call: AttentionCall, name: ManyVariant): void {
  const { recorder, shape, state, slots, inputs, out } = call;
  recorder.dispatch(kernel, {
    slots: { ...slots, ...tileSlots(shape.headDim, MANY_VARIANTS[name]) },
    bindings: { ...inputs, tiles: state.tiles, out },
    grid: [
      { extent: { count: 'tiles', capacity: capacityOf(state.tiles.shape[0] ?? 0) }, per: 1 },
      shape.kvHeads,
    ],
    label: shapeName(shape),
    cost(work) {
      const { decodes, tokens } = work.counts;
      return attentionCost(call, work, 1 - decodes / tokens);
    },
  });
}

function partsOf(headDim: number, part4: number): number {
  return nextPowerOfTwo(divCeil(paddedHeadDim(headDim) / 4, part4));
}

function tileSlots(
  headDim: number,
  { tall, part4 }: TileVariant,
): Readonly<Record<'ROWS' | 'PARTS' | 'TALL' | 'KEYS', number>> {
  const rows = attentionTileRows(headDim);
  const parts = partsOf(headDim, part4);
  const row4 = parts * divCeil(paddedHeadDim(headDim) / 4, parts);
  // Per key: scores, the vec4s of the key or value, and where it is; beside them what each part says of a row.
  const perKey = 4 * rows * parts + 16 * row4 + 8;
  const keys = 16 * perKey + 4 * rows * parts <= WORKGROUP_BYTES ? 16 : 8;
  return { ROWS: rows, PARTS: parts, TALL: tall, KEYS: keys };
}
