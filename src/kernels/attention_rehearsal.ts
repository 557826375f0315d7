/** Attention by itself, of one made-up sequence: what its kernels are measured with. @module */
import type { HoldState, Recorder, Rehearsed, StateNumbers } from '../gpu/recorder.ts';
import { NO_COUNTS, type Counts, type Tensor } from '../gpu/tensor.ts';
import { divCeil } from '../util/arith.ts';
import type { AttentionShape } from './attention_call.ts';
import { attentionTileRows } from './attention_many.ts';
import { chooseSplits, type SplitLimits } from './attention_one.ts';
import type { AttentionState } from './attention_state.ts';
import { kvBytesPerPage, kvTensorShapes, paddedHeadDim, type KvLayer } from './kv_cache.ts';

/** A sequence that is alone in a step, which computes the last `queries` of its `keys` tokens. */
export interface LoneSequence {
  readonly keys: number;
  readonly queries: number;
  readonly pageSize: number;
  /** Entries of a row of page tables; 0 if there are none, and the pages follow each other. */
  readonly tableWidth: number;
  /** Keys that a query sees; all if absent. */
  readonly window?: number | undefined;
}

/** The step of a lone sequence: its counts and state, and the pages that it takes, which are the first. */
export function loneStep(
  { heads, kvHeads, headDim }: AttentionShape,
  { keys, queries, pageSize, tableWidth, window = keys }: LoneSequence,
  limits: SplitLimits,
): {
  readonly counts: Counts;
  readonly state: Readonly<Record<keyof AttentionState, StateNumbers>>;
  readonly pages: number;
} {
  const pages = divCeil(keys, pageSize);
  const decodes = Number(queries === 1);
  const tileRows = attentionTileRows(headDim);
  const tiles = decodes > 0 ? 0 : divCeil((queries * heads) / kvHeads, tileRows);
  const kvLength = Math.min(keys, window);
  const splits = chooseSplits({ decodes, kvHeads, kvLength, pageSize, ...limits });
  const rows = <T>(count: number, of: (i: number) => T): T[] =>
    Array.from({ length: count }, (_, i) => of(i));
  const width = Math.max(1, tableWidth);
  return {
    counts: {
      ...NO_COUNTS,
      tokens: queries,
      decodes,
      tiles,
      splits,
      combines: splits > 1 ? decodes : 0,
    },
    state: {
      positions: { shape: [queries], words: rows(queries, (i) => keys - queries + i) },
      sequenceOf: { shape: [queries], words: rows(queries, () => 0) },
      sequences: { shape: [1, 4], words: [0, queries, keys, 0] },
      tables: { shape: [1, width], words: rows(width, (page) => (page < pages ? page : 0)) },
      tiles: {
        shape: [Math.max(1, tiles), 2],
        words: rows(Math.max(1, tiles), (tile) => [0, tile * tileRows]).flat(),
      },
    },
    pages,
  };
}

/** Which of the two kernels of a step. */
export type AttentionMode = 'one query' | 'many queries';

/**
 * Most keys that one query is rehearsed with: so many that reading them is what takes the time, as it does where attention
 * counts. From there on the time grows with the keys, whatever the variant.
 */
const MOST_KEYS = 4096;
/** Most queries, and keys, that many are rehearsed with: a prompt that occupies large GPUs, too. */
const MOST_QUERIES = 512;
/** Most bytes of their keys and values. */
const MOST_BYTES = 2 ** 25;

/** The sequence that a kernel is rehearsed with, in a cache like that of the step and a table as wide. */
export function rehearsedSequence(
  mode: AttentionMode,
  { kvHeads, headDim, kv }: AttentionShape,
  like: Pick<LoneSequence, 'pageSize' | 'tableWidth' | 'window'>,
): LoneSequence {
  const { pageSize, tableWidth } = like;
  const pageBytes = kvBytesPerPage({ kvHeads, headDim, pageSize, dtype: kv });
  const affordable = Math.max(1, Math.floor(MOST_BYTES / pageBytes));
  const pages = tableWidth > 0 ? Math.min(tableWidth, affordable) : affordable;
  const keys = Math.min(mode === 'one query' ? MOST_KEYS : MOST_QUERIES, pages * pageSize);
  return { ...like, keys, queries: mode === 'one query' ? 1 : keys };
}

/** Records the attention of a lone sequence in a cache of its own, for a tuner to fill and measure. */
export function rehearseAttention(
  recorder: Recorder,
  hold: HoldState,
  { heads, kvHeads, headDim, kv: dtype }: AttentionShape,
  sequence: LoneSequence,
  limits: SplitLimits,
  record: (queries: Tensor, state: AttentionState, kv: KvLayer) => Tensor,
): Rehearsed {
  const { pageSize, tableWidth } = sequence;
  const { counts, state, pages } = loneStep(
    { heads, kvHeads, headDim, kv: dtype },
    sequence,
    limits,
  );
  const { tables, ...rest } = hold(state);
  const cache = { kvHeads, headDim, pageSize, dtype };
  const stored = kvTensorShapes(pages, cache);
  const keys = recorder.workspace(stored.dtype, stored.keys);
  const values = recorder.workspace(stored.dtype, stored.values);
  const queries = recorder.workspace('f32', [
    { count: 'tokens', capacity: sequence.queries },
    heads * paddedHeadDim(headDim),
  ]);
  const output = record(
    queries,
    // The same pipelines as the step's: the width of its tables is part of them.
    { ...rest, ...(tableWidth > 0 && { tables }) },
    { ...cache, pages, keys, values },
  );
  return { inputs: [queries, keys, values], own: [keys, values], output, counts };
}
