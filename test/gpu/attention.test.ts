import { expect, it } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import {
  attention,
  attentionTileRows,
  type AttentionVariant,
} from '../../src/kernels/attention.ts';
import { paddedHeadDim, type KvDType } from '../../src/kernels/kv_cache.ts';
import { ShapeError } from '../../src/util/errors.ts';
import {
  cacheIndex,
  fromF16,
  placeStep,
  poisonedCache,
  toF16,
  uploadCache,
  type PlacedStep,
  type SequenceSpec,
} from '../support/attention_step.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { random, relativeError, runOp, upload } from '../support/run_op.ts';

interface Case {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly sequences: readonly SequenceSpec[];
  readonly pageSize?: number;
  readonly window?: number;
  readonly tableWidth?: number;
  readonly splits?: number;
  readonly dtype?: KvDType;
  readonly variant?: AttentionVariant;
  readonly scale?: number;
  /** Largest magnitude of queries and keys. */
  readonly range?: number;
}

interface Inputs {
  readonly q: Float32Array;
  /** [sequence][position · kvHeads · headDim + …] */
  readonly k: readonly Float32Array[];
  readonly v: readonly Float32Array[];
}

/** out[t, h] = Σ p v / Σ p with p = exp(scale q·k − max) over the keys that t sees, in float64. */
function reference(c: Case, step: PlacedStep, { q, k, v }: Inputs): Float64Array {
  const { heads, kvHeads, headDim, scale = headDim ** -0.5 } = c;
  const out = new Float64Array(step.tokens * heads * headDim);
  step.rows.forEach(({ sequence, position }, t) => {
    const keys = k[sequence] ?? new Float32Array();
    const values = v[sequence] ?? new Float32Array();
    for (let h = 0; h < heads; h += 1) {
      const row = (t * heads + h) * headDim;
      const at = (j: number): number => (j * kvHeads + Math.floor(h / (heads / kvHeads))) * headDim;
      const scores: number[] = [];
      for (let j = step.firstVisible(position); j <= position; j += 1) {
        let score = 0;
        for (let d = 0; d < headDim; d += 1) score += (q[row + d] ?? 0) * (keys[at(j) + d] ?? 0);
        scores.push(score * scale);
      }
      const largest = Math.max(...scores);
      const p = scores.map((score) => Math.exp(score - largest));
      const sum = p.reduce((a, b) => a + b, 0);
      p.forEach((weight, i) => {
        const j = at(step.firstVisible(position) + i);
        for (let d = 0; d < headDim; d += 1) {
          out[row + d] = (out[row + d] ?? 0) + (weight / sum) * (values[j + d] ?? 0);
        }
      });
    }
  });
  return out;
}

function makeInputs(c: Case, step: PlacedStep): Inputs {
  const { heads, kvHeads, headDim, range = 2, dtype } = c;
  const stored = (x: number): number => (dtype === 'f16' ? fromF16(toF16(x)) : Math.fround(x));
  const rowSize = heads * headDim;
  const q = new Float32Array(step.tokens * rowSize);
  c.sequences.forEach(({ queries, keys }, s) => {
    const own = random(keys * rowSize, 300 + s).map((x) => x * range);
    const row = step.rows.findIndex(({ sequence }) => sequence === s);
    q.set(own.subarray((keys - queries) * rowSize), row * rowSize);
  });
  return {
    q,
    k: c.sequences.map(({ keys }, s) =>
      random(keys * kvHeads * headDim, 100 + s).map((x) => stored(x * range)),
    ),
    v: c.sequences.map(({ keys }, s) => random(keys * kvHeads * headDim, 200 + s).map(stored)),
  };
}

/** The cache as it is after the step's append: only keys that a query of the step sees are there. */
function fillCache(device: Device, c: Case, step: PlacedStep, { k, v }: Inputs) {
  const { kvHeads, headDim, pageSize = 16, dtype = 'f32', sequences } = c;
  const shape = { kvHeads, headDim, pageSize, pages: step.pages };
  const cache = poisonedCache(shape);
  sequences.forEach(({ queries, keys }, s) => {
    for (let j = step.firstVisible(keys - queries); j < keys; j += 1) {
      for (let g = 0; g < kvHeads; g += 1) {
        for (let d = 0; d < paddedHeadDim(headDim); d += 1) {
          const { key, value } = cacheIndex(shape, step.place(s, j), g, d);
          const from = (j * kvHeads + g) * headDim + d;
          cache.keys[key] = d < headDim ? (k[s]?.[from] ?? 0) : 0;
          cache.values[value] = d < headDim ? (v[s]?.[from] ?? 0) : 0;
        }
      }
    }
  });
  return uploadCache(device, shape, dtype, cache);
}

async function run(device: Device, c: Case) {
  const { heads, kvHeads, headDim, scale = headDim ** -0.5, window, splits = 1 } = c;
  const step = placeStep(device, {
    sequences: c.sequences,
    pageSize: c.pageSize ?? 16,
    window,
    // One width for all steps without a window: it is a constant of the shaders, and they take long to compile.
    tableWidth: c.tableWidth ?? (window === undefined && c.pageSize === undefined ? 20 : undefined),
    tileRows: attentionTileRows(headDim),
    group: heads / kvHeads,
  });
  const inputs = makeInputs(c, step);
  const kv = fillCache(device, c, step, inputs);
  const padded = paddedHeadDim(headDim);
  const q = new Float32Array(step.tokens * heads * padded);
  inputs.q.forEach((x, i) => {
    q[Math.floor(i / headDim) * padded + (i % headDim)] = x;
  });
  const { tokens, decodes, tiles } = step;
  const counts = { tokens, decodes, tiles, splits, combines: splits > 1 ? decodes : 0 };
  const { out } = await runOp(device, counts, (r) => {
    const queries = upload(device, 'f32', [tokens, heads * padded], q);
    const rows = {
      ...queries,
      shape: [{ count: 'tokens', capacity: tokens }, heads * padded],
    } as const;
    return {
      out: attention(r.tensor(rows), step.state, kv, {
        heads,
        scale,
        window,
        ...(c.variant && { variant: c.variant }),
      }),
    };
  });
  return { actual: out.f32, expected: reference(c, step, inputs) };
}

async function errorOf(device: Device, c: Case): Promise<number> {
  const { actual, expected } = await run(device, c);
  return relativeError(actual, expected);
}

const decode = (...lengths: readonly number[]): SequenceSpec[] =>
  lengths.map((keys) => ({ queries: 1, keys }));

/** One query, and many: at page borders, from an empty cache, in chunks. */
const MIXED = [
  ...decode(1, 15, 16, 17, 150),
  { queries: 2, keys: 2 },
  { queries: 17, keys: 17 },
  { queries: 3, keys: 35 },
  { queries: 40, keys: 57 },
];

const HEADS = [
  { heads: 71, kvHeads: 1, headDim: 1 },
  { heads: 6, kvHeads: 2, headDim: 16 },
  { heads: 5, kvHeads: 1, headDim: 24 },
  { heads: 4, kvHeads: 2, headDim: 64, dtype: 'f16' },
  { heads: 2, kvHeads: 1, headDim: 80 },
  { heads: 4, kvHeads: 1, headDim: 128 },
  { heads: 5, kvHeads: 1, headDim: 255 },
] as const;

/** A ring of 9 pages is just long enough for the window tests; 250 keys go round it almost twice. */
const WINDOWED = { heads: 4, kvHeads: 2, headDim: 16, tableWidth: 9 };

describeOnAdapters('attention', (open) => {
  it.each(HEADS)('$heads heads on $kvHeads of $headDim', async (shape) => {
    expect(await errorOf(await open(), { ...shape, sequences: MIXED })).toBeLessThan(2e-6);
  });

  it.each(['direct', 'tiled'] as const)('%s: runs on any adapter', async (variant) => {
    const device = await open();
    for (const shape of [HEADS[1], HEADS[3]]) {
      const error = await errorOf(device, { ...shape, sequences: MIXED, splits: 3, variant });
      expect(error).toBeLessThan(2e-6);
    }
  });

  it('cuts the keys into any number of pieces', async () => {
    const device = await open();
    const sequences = [...decode(1, 16, 17, 33, 129, 300), { queries: 4, keys: 20 }];
    for (const splits of [1, 2, 3, 5, 8, 16]) {
      const error = await errorOf(device, { heads: 6, kvHeads: 2, headDim: 16, sequences, splits });
      expect(error, `${splits} pieces`).toBeLessThan(2e-6);
    }
  });

  it.each([1, 7, 100])('sees a window of %i keys in a ring of pages', async (window) => {
    const device = await open();
    const sequences = [
      ...decode(1, 7, 8, 64, 250),
      { queries: 30, keys: 30 },
      { queries: 21, keys: 150 },
    ];
    for (const splits of [1, 4]) {
      const shape = { ...WINDOWED, splits };
      expect(await errorOf(device, { ...shape, sequences, window })).toBeLessThan(2e-6);
    }
  });

  it('reads pages of any size', async () => {
    const device = await open();
    for (const pageSize of [5, 64]) {
      const shape = { heads: 2, kvHeads: 2, headDim: 10, splits: 2, pageSize };
      expect(await errorOf(device, { ...shape, sequences: MIXED })).toBeLessThan(2e-6);
    }
  });

  it('survives scores of some ten thousands', async () => {
    // Scores as large are known to about 1e-3 in f32, and so are the probabilities.
    const device = await open();
    for (const splits of [1, 3]) {
      const shape = { heads: 6, kvHeads: 2, headDim: 16, splits, range: 120 };
      expect(await errorOf(device, { ...shape, sequences: MIXED })).toBeLessThan(1e-2);
    }
  });

  it('gives a query the same bits in whatever chunk it comes', async () => {
    const device = await open();
    const shape = { ...WINDOWED, window: 7 };
    const whole = await run(device, { ...shape, sequences: [{ queries: 140, keys: 140 }] });
    for (const queries of [2, 37]) {
      const part = await run(device, { ...shape, sequences: [{ queries, keys: 140 }] });
      expect(part.actual).toEqual(whole.actual.slice(-queries * 4 * 16));
    }
  });

  it('refuses shapes that do not fit', async () => {
    const device = await open();
    const c = { heads: 4, kvHeads: 3, headDim: 8, sequences: decode(1) };
    await expect(run(device, c)).rejects.toThrow(ShapeError);
    await expect(run(device, { ...c, kvHeads: 4, headDim: 260 })).rejects.toThrow(/headDim is 260/);
    await expect(run(device, { ...c, kvHeads: 4, window: 0 })).rejects.toThrow(/window is 0/);
  });
});
