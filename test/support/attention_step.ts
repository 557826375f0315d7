import type { Device } from '../../src/gpu/device.ts';
import type { AttentionState } from '../../src/kernels/attention.ts';
import {
  kvTensorShapes,
  paddedHeadDim,
  type KvDType,
  type KvLayer,
} from '../../src/kernels/kv_cache.ts';
import { POISON, random, upload } from './run_op.ts';

/** A sequence of a step: its queries in the step, and its keys including those of the step (or, in cross-attention, not). */
export interface SequenceSpec {
  readonly queries: number;
  readonly keys: number;
}

export interface StepSpec {
  /** Those with one query first. */
  readonly sequences: readonly SequenceSpec[];
  readonly pageSize: number;
  readonly window?: number | undefined;
  /** What a query sees: none after it (default), to both sides, or keys that are another text's. */
  readonly sees?: 'before' | 'around' | 'other' | undefined;
  /** Whether pages follow each other, without tables. */
  readonly isConsecutive?: boolean | undefined;
  /** Smallest page in use; default 1. */
  readonly firstPage?: number;
  /** Entries of a table row; by default as few as will do. */
  readonly tableWidth?: number | undefined;
  /** Packed rows of a tile, and query heads per key head. */
  readonly tileRows: number;
  readonly group: number;
}

export interface PlacedStep {
  readonly state: AttentionState;
  readonly pages: number;
  readonly tokens: number;
  readonly decodes: number;
  readonly tiles: number;
  /** Position in its sequence, and sequence, of each token. */
  readonly rows: readonly { readonly sequence: number; readonly position: number }[];
  /** Page and slot of a key that some query of the step sees. */
  readonly place: (sequence: number, position: number) => readonly [page: number, slot: number];
  /** Keys that the query of a row sees: the first, and the one after the last. */
  readonly visible: (row: number) => readonly [first: number, end: number];
  /** First key of a sequence that any of its queries sees. */
  readonly firstVisible: (sequence: number) => number;
}

/**
 * Lays out a step as the engine does, with page ids in random order; table entries that must not be used name
 * page 0, which belongs to nobody.
 */
export function placeStep(device: Device, spec: StepSpec): PlacedStep {
  const { sequences, pageSize, window = Infinity, sees = 'before', tileRows, group } = spec;
  const { firstPage = 1 } = spec;
  const toEachSide = sees === 'before' ? window - 1 : window;
  const firstVisible = (sequence: number): number => {
    const { queries, keys } = sequences[sequence] ?? { queries: 0, keys: 0 };
    return sees === 'other' ? 0 : Math.max(0, keys - queries - toEachSide);
  };
  const live = sequences.map(({ keys }, sequence) => {
    const first = Math.floor(firstVisible(sequence) / pageSize);
    return { first, count: Math.ceil(keys / pageSize) - first };
  });
  const width = spec.tableWidth ?? Math.max(...live.map(({ count }) => count));
  const used = live.reduce((sum, { count }) => sum + count, 0);
  const ids = (spec.isConsecutive === true ? counted(used).toReversed() : shuffled(used)).map(
    (id) => id + firstPage,
  );

  const tables = new Uint32Array(sequences.length * width);
  live.forEach(({ first, count }, sequence) => {
    for (let b = first; b < first + count; b += 1) {
      tables[sequence * width + (b % width)] = ids.pop() ?? 0;
    }
  });

  const rows: { sequence: number; position: number }[] = [];
  const tiles: number[] = [];
  const words = sequences.flatMap(({ queries, keys }, sequence) => {
    const start = rows.length;
    for (let i = 0; i < queries; i += 1) rows.push({ sequence, position: keys - queries + i });
    const packed = queries > 1 ? queries * group : 0;
    for (let row = 0; row < packed; row += tileRows) tiles.push(sequence, row);
    return [
      start,
      queries,
      keys,
      spec.isConsecutive === true ? (tables[sequence * width] ?? 0) : 0,
    ];
  });
  const decodes = sequences.filter(({ queries }) => queries === 1).length;
  const u32 = (shape: readonly number[], values: ArrayLike<number>) =>
    upload(device, 'u32', shape, Uint32Array.from(values));
  return {
    state: {
      positions: u32(
        [rows.length],
        rows.map(({ position }) => position),
      ),
      sequenceOf: u32(
        [rows.length],
        rows.map(({ sequence }) => sequence),
      ),
      sequences: u32([sequences.length, 4], words),
      ...(spec.isConsecutive !== true && { tables: u32([sequences.length, width], tables) }),
      tiles: u32([Math.max(1, tiles.length / 2), 2], tiles.length > 0 ? tiles : [0, 0]),
    },
    pages: used + firstPage,
    tokens: rows.length,
    decodes,
    tiles: tiles.length / 2,
    rows,
    place: (sequence, position) => [
      tables[sequence * width + (Math.floor(position / pageSize) % width)] ?? 0,
      position % pageSize,
    ],
    visible: (row) => {
      const { sequence = 0, position = 0 } = rows[row] ?? {};
      const keys = sequences[sequence]?.keys ?? 0;
      if (sees === 'other') return [0, keys];
      const end = sees === 'before' ? position + 1 : Math.min(keys, position + toEachSide + 1);
      return [Math.max(0, position - toEachSide), end];
    },
    firstVisible,
  };
}

/** Index of an element of the cache's two tensors. */
export function cacheIndex(
  shape: { readonly kvHeads: number; readonly headDim: number; readonly pageSize: number },
  [page, slot]: readonly [number, number],
  head: number,
  dim: number,
): { readonly key: number; readonly value: number } {
  const { kvHeads, headDim, pageSize } = shape;
  const padded = paddedHeadDim(headDim);
  const start = (page * kvHeads + head) * pageSize * padded;
  return {
    key: start + (Math.floor(dim / 4) * pageSize + slot) * 4 + (dim % 4),
    value: start + slot * padded + dim,
  };
}

/** A cache with these elements, given in the order of its tensors. */
export function uploadCache(
  device: Device,
  shape: Pick<KvLayer, 'kvHeads' | 'headDim' | 'pageSize' | 'pages'>,
  dtype: KvDType,
  elements: { readonly keys: Float32Array; readonly values: Float32Array },
): KvLayer {
  const { kvHeads, headDim, pageSize, pages } = shape;
  const padded = paddedHeadDim(headDim);
  if (dtype === 'q8') {
    const shapes = kvTensorShapes(pages, { ...shape, dtype });
    const heads = pages * kvHeads;
    const keys = quantized(
      elements.keys,
      heads,
      (slot, dim) => {
        return (Math.floor(dim / 4) * pageSize + slot) * 4 + (dim % 4);
      },
      { pageSize, padded },
    );
    const values = quantized(elements.values, heads, (slot, dim) => slot * padded + dim, {
      pageSize,
      padded,
    });
    return {
      ...shape,
      dtype,
      keys: upload(
        device,
        'u32',
        shapes.keys,
        keys((slot, d4) => d4 * pageSize + slot),
      ),
      values: upload(
        device,
        'u32',
        shapes.values,
        values((slot, d4) => slot * (padded / 4 + 1) + d4),
      ),
    };
  }
  const stored = (values: Float32Array) =>
    dtype === 'f32' ? values : Uint16Array.from(values, toF16);
  return {
    ...shape,
    dtype,
    keys: upload(device, dtype, [pages, kvHeads, padded / 4, pageSize, 4], stored(elements.keys)),
    values: upload(device, dtype, [pages, kvHeads, pageSize, padded], stored(elements.values)),
  };
}

/**
 * Words of a `q8` cache of unscaled elements: where those of a head lie is said first, and of its words, scale last, then.
 */
function quantized(
  elements: Float32Array,
  heads: number,
  from: (slot: number, dim: number) => number,
  { pageSize, padded }: { readonly pageSize: number; readonly padded: number },
): (to: (slot: number, d4: number) => number) => Uint32Array {
  const [size, row4] = [pageSize * padded, padded / 4 + 1];
  return (to) => {
    const bytes = new Int8Array(heads * pageSize * row4 * 4);
    const floats = new Float32Array(bytes.buffer);
    for (let head = 0; head < heads; head += 1) {
      for (let slot = 0; slot < pageSize; slot += 1) {
        const row = Array.from(
          { length: padded },
          (_, d) => elements[head * size + from(slot, d)] ?? 0,
        );
        const start = head * pageSize * row4;
        const { scale, steps } = toQ8(row);
        steps.forEach((step, d) => {
          bytes[(start + to(slot, Math.floor(d / 4))) * 4 + (d % 4)] = step;
        });
        floats[start + to(slot, padded / 4)] = scale;
      }
    }
    return new Uint32Array(bytes.buffer);
  };
}

/** Elements that the words of a `q8` cache stand for, in the order of an unscaled cache's. */
export function fromQ8(
  words: ArrayBufferLike,
  shape: Pick<KvLayer, 'kvHeads' | 'headDim' | 'pageSize' | 'pages'>,
  tensor: 'keys' | 'values',
): Float32Array {
  const { kvHeads, headDim, pageSize, pages } = shape;
  const d4s = paddedHeadDim(headDim) / 4;
  const [bytes, floats] = [new Int8Array(words), new Float32Array(words)];
  const out = new Float32Array(pages * kvHeads * pageSize * d4s * 4);
  for (let i = 0; i < out.length; i += 1) {
    const inHead = Math.floor(i / 4) % (pageSize * d4s);
    const start = Math.floor(i / (4 * pageSize * d4s)) * pageSize * (d4s + 1);
    const [slot, d4] =
      tensor === 'keys'
        ? [inHead % pageSize, Math.floor(inHead / pageSize)]
        : [Math.floor(inHead / d4s), inHead % d4s];
    const word = (of: number): number =>
      start + (tensor === 'keys' ? of * pageSize + slot : slot * (d4s + 1) + of);
    out[i] = (bytes[word(d4) * 4 + (i % 4)] ?? 0) * (floats[word(d4s)] ?? 0);
  }
  return out;
}

/** A head as a `q8` cache stores it. */
export function toQ8(row: readonly number[]): {
  readonly scale: number;
  readonly steps: readonly number[];
} {
  const scale = Math.fround(Math.max(...row.map(Math.abs)) / 127);
  return { scale, steps: row.map((x) => (scale > 0 ? Math.round(x / scale) : 0)) };
}

/** Elements of a cache in which nothing has been stored: large enough to show if they are read. */
export function poisonedCache(shape: Pick<KvLayer, 'kvHeads' | 'headDim' | 'pageSize' | 'pages'>): {
  readonly keys: Float32Array;
  readonly values: Float32Array;
} {
  const { kvHeads, headDim, pageSize, pages } = shape;
  const size = pages * kvHeads * pageSize * paddedHeadDim(headDim);
  return {
    keys: new Float32Array(size).fill(POISON),
    values: new Float32Array(size).fill(POISON),
  };
}

const bits = new DataView(new ArrayBuffer(4));

/** Bits of the f16 nearest to `value` or below it in magnitude; too large becomes the largest, too small 0. */
export function toF16(value: number): number {
  bits.setFloat32(0, Math.max(-65504, Math.min(65504, value)));
  const word = bits.getUint32(0);
  const exponent = ((word >>> 23) & 0xff) - 127 + 15;
  const sign = (word >>> 16) & 0x8000;
  return exponent < 1 ? sign : sign | (exponent << 10) | ((word >>> 13) & 0x3ff);
}

/** Value of normal f16 bits. */
export function fromF16(word: number): number {
  const exponent = (word >>> 10) & 0x1f;
  const magnitude =
    exponent === 0 ? (word & 0x3ff) * 2 ** -24 : (1 + (word & 0x3ff) / 1024) * 2 ** (exponent - 15);
  return (word & 0x8000) === 0 ? magnitude : -magnitude;
}

function counted(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

function shuffled(count: number): number[] {
  const keys = random(count, 99);
  return counted(count).sort((a, b) => (keys[a] ?? 0) - (keys[b] ?? 0));
}
