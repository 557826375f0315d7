/** Attention in the self-test. @module */
import type { Device } from '../gpu/device.ts';
import type { DeviceTensor } from '../gpu/tensor.ts';
import { divCeil } from '../util/arith.ts';
import {
  attention,
  attentionTileRows,
  chooseAttention,
  type AttentionOptions,
  type AttentionState,
} from './attention.ts';
import {
  kvRow4,
  kvTensorShapes,
  paddedHeadDim,
  type KvDType,
  type KvLayer,
  type KvShape,
} from './kv_cache.ts';
import { countsOf, floats, reduceVariant, type SelfTestCase } from './self_test_case.ts';
import {
  random,
  uploadNumbers,
  uploadScaled,
  uploadStored,
  uploadWords,
} from './self_test_data.ts';

/** Queries and keys, those of the step included, of the sequences that attention is tried on. */
const SEQUENCES = [
  [1, 300],
  [1, 1],
  [1, 33],
  [41, 57],
  [2, 130],
] as const;

const PAGE_SIZE = 16;
/** Most pieces of keys that are recorded. */
const MAX_SPLITS = 4;

/** Distances that lie within the sequences, and differ. */
const [REACH, WINDOW] = [20, 30] as const;

interface AttentionCase {
  readonly name: string;
  readonly dtype: KvDType;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly options?: (device: Device) => Partial<AttentionOptions>;
}

/** As decoders need it, with grouped heads whose size is no multiple of 4. */
export function causalAttentionCase(dtype: KvDType): SelfTestCase {
  return attentionCase({ name: `attention, ${dtype}`, dtype, heads: 6, kvHeads: 2, headDim: 42 });
}

/** With all that encoders may ask for at once, and few small heads, which compile sooner. */
export function encoderAttentionCase(): SelfTestCase {
  const [heads, rows] = [3, 2 * REACH + 1];
  const options: AttentionCase['options'] = (device) => {
    const table = uploadNumbers(device, [rows, heads], random(rows * heads, 10));
    return { causal: false, window: WINDOW, bias: { table, reach: REACH } };
  };
  const shape = { heads, kvHeads: heads, headDim: 10 };
  return attentionCase({ name: 'attention, not causal', dtype: 'f32', ...shape, options });
}

/** Pages in disorder, keys in one piece and in several. */
function attentionCase(c: AttentionCase): SelfTestCase {
  const { heads, kvHeads, headDim, dtype } = c;
  const tokens = SEQUENCES.reduce((sum, [queries]) => sum + queries, 0);
  const decodes = SEQUENCES.filter(([queries]) => queries === 1).length;
  const tiles = attentionTiles(heads / kvHeads, headDim);
  const step = { tokens, decodes, tiles: tiles.length / 2 };
  return {
    name: c.name,
    variants(facts) {
      const variant = chooseAttention(facts, { heads, kvHeads, headDim, kv: dtype });
      if (variant === 'direct') return [];
      const one = variant.one === 'lanes' ? ['attention_lanes' as const] : reduceVariant(facts);
      return [...one, 'attention_tiled'];
    },
    steps: [countsOf({ ...step, splits: 1 }), countsOf({ ...step, splits: 3, combines: decodes })],
    depth: Math.max(...SEQUENCES.map(([, keys]) => keys)),
    record(recorder) {
      const { device } = recorder;
      const { state, pages } = attentionState(device, tiles);
      const kv = filledCache(device, pages, { kvHeads, headDim, pageSize: PAGE_SIZE, dtype });
      const size = heads * paddedHeadDim(headDim);
      const queries = uploadNumbers(device, [tokens, size], random(tokens * size, 9));
      const scale = 2 / Math.sqrt(headDim);
      const options = { heads, scale, maxSplits: MAX_SPLITS, ...c.options?.(device) };
      return attention(recorder.tensor(queries), state, kv, options);
    },
    read: floats,
  };
}

function filledCache(device: Device, pages: number, kv: KvShape): KvLayer {
  const { dtype, pageSize } = kv;
  const shapes = kvTensorShapes(pages, kv);
  if (dtype !== 'q8') {
    return {
      ...kv,
      pages,
      keys: uploadStored(device, dtype, shapes.keys, 7),
      values: uploadStored(device, dtype, shapes.values, 8),
    };
  }
  const row4 = kvRow4(kv);
  const isLast = (i: number): boolean => i % row4 === row4 - 1;
  return {
    ...kv,
    pages,
    keys: uploadScaled(device, shapes.keys, 7, (i) => isLast(Math.floor(i / pageSize))),
    values: uploadScaled(device, shapes.values, 8, isLast),
  };
}

/** Sequence and first packed row of each tile; see AttentionState. */
function attentionTiles(group: number, headDim: number): readonly number[] {
  const tileRows = attentionTileRows(headDim);
  return SEQUENCES.flatMap(([queries], sequence) =>
    queries === 1
      ? []
      : Array.from({ length: divCeil(queries * group, tileRows) }, (_, i) => [
          sequence,
          i * tileRows,
        ]).flat(),
  );
}

function attentionState(
  device: Device,
  tiles: readonly number[],
): { readonly state: AttentionState; readonly pages: number } {
  const width = Math.max(...SEQUENCES.map(([, keys]) => divCeil(keys, PAGE_SIZE)));
  const pages = SEQUENCES.length * width;
  let first = 0;
  const sequences = SEQUENCES.flatMap(([queries, keys]) => {
    first += queries;
    return [first - queries, queries, keys, 0];
  });
  const words = (shape: readonly number[], values: Iterable<number>): DeviceTensor =>
    uploadWords(device, shape, Uint32Array.from(values));
  const positions = SEQUENCES.flatMap(([queries, keys]) =>
    Array.from({ length: queries }, (_, i) => keys - queries + i),
  );
  const sequenceOf = SEQUENCES.flatMap(([queries], i) => Array.from({ length: queries }, () => i));
  return {
    state: {
      positions: words([positions.length], positions),
      sequenceOf: words([sequenceOf.length], sequenceOf),
      sequences: words([SEQUENCES.length, 4], sequences),
      // 7 has no divisor in common with the number of pages, so this is each page once.
      tables: words(
        [SEQUENCES.length, width],
        Array.from({ length: pages }, (_, i) => (i * 7) % pages),
      ),
      tiles: words([tiles.length / 2, 2], tiles),
    },
    pages,
  };
}
