import { expect, it } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import { attentionTileRows } from '../../src/kernels/attention.ts';
import {
  disentangledAttention,
  type DisentangledVariant,
} from '../../src/kernels/disentangled_attention.ts';
import { distanceRows } from '../../src/nn/distance_rows.ts';
import { ShapeError } from '../../src/util/errors.ts';
import { placeStep } from '../support/attention_step.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { random, relativeError, runOp, upload } from '../support/run_op.ts';

interface Case {
  readonly heads: number;
  readonly headDim: number;
  /** Tokens of each sequence, those of one token first. */
  readonly lengths: readonly number[];
  readonly tables?: 'both' | 'keys' | 'queries' | 'none';
  /** Buckets of distances, and the largest distance of one. */
  readonly buckets?: readonly [buckets: number, maxDistance: number];
  readonly variant?: DisentangledVariant;
  /** Largest magnitude of queries, keys and positions. */
  readonly range?: number;
  /** Different for sequences with other contents. */
  readonly seed?: number;
}

interface Inputs {
  /** [T, 3, heads, headDim] */
  readonly qkv: Float32Array;
  readonly keys: Float32Array | undefined;
  readonly queries: Float32Array | undefined;
  readonly rows: Uint32Array<ArrayBuffer>;
  readonly scale: number;
}

/** DeBERTa's equation 4 for each query i, key j and head, in float64. */
function reference(c: Case, { qkv, keys, queries, rows, scale }: Inputs): Float64Array {
  const { headDim } = c;
  const dim = c.heads * headDim;
  const reach = (rows.length - 1) / 2;
  const out = new Float64Array((qkv.length / 3 / dim) * dim);
  let first = 0;
  for (const length of c.lengths) {
    for (let i = first; i < first + length; i += 1) {
      for (let h = 0; h < dim; h += headDim) {
        const scores = Array.from({ length }, (_, n) => {
          const j = first + n;
          const row = (rows[Math.max(-reach, Math.min(reach, i - j)) + reach] ?? NaN) * dim + h;
          let score = 0;
          for (let d = 0; d < headDim; d += 1) {
            const q = qkv[i * 3 * dim + h + d] ?? NaN;
            const k = qkv[(j * 3 + 1) * dim + h + d] ?? NaN;
            score += q * k;
            if (keys !== undefined) score += q * (keys[row + d] ?? NaN);
            if (queries !== undefined) score += k * (queries[row + d] ?? NaN);
          }
          return score * scale;
        });
        const largest = Math.max(...scores);
        const p = scores.map((score) => Math.exp(score - largest));
        const sum = p.reduce((a, b) => a + b, 0);
        for (let d = 0; d < headDim; d += 1) {
          out[i * dim + h + d] = p.reduce(
            (o, weight, n) =>
              o + (weight / sum) * (qkv[((first + n) * 3 + 2) * dim + h + d] ?? NaN),
            0,
          );
        }
      }
    }
    first += length;
  }
  return out;
}

function makeInputs(c: Case): Inputs {
  const { heads, headDim, lengths, range = 1.5, tables = 'both', buckets = [16, 40] } = c;
  const { seed = 1 } = c;
  const dim = heads * headDim;
  const [count, maxDistance] = buckets;
  const rows = distanceRows(...buckets);
  const span = count > 0 ? count : maxDistance;
  const scaled = (length: number, from: number) => random(length, from).map((x) => x * range);
  const each = lengths.map((length, i) => scaled(length * 3 * dim, seed + i));
  return {
    qkv: Float32Array.from(each.flatMap((values) => [...values])),
    keys: /both|keys/.test(tables) ? scaled(2 * span * dim, 77) : undefined,
    queries: /both|queries/.test(tables) ? scaled(2 * span * dim, 78) : undefined,
    rows,
    scale: (headDim * { both: 3, keys: 2, queries: 2, none: 1 }[tables]) ** -0.5,
  };
}

async function run(device: Device, c: Case, { qkv, keys, queries, rows, scale } = makeInputs(c)) {
  const { heads, headDim, variant } = c;
  const dim = heads * headDim;
  const { state, tokens, decodes, tiles } = placeStep(device, {
    sequences: c.lengths.map((n) => ({ queries: n, keys: n })),
    pageSize: 16,
    tileRows: attentionTileRows(headDim),
    group: 1,
  });
  const { out } = await runOp(device, { tokens, decodes, tiles }, (r) => {
    const table = (values: Float32Array | undefined) =>
      values && r.tensor(upload(device, 'f32', [values.length / dim, dim], values));
    // More rows than the step has tokens: those after them are poison.
    const stored = r.tensor(upload(device, 'f32', [tokens, 3 * dim], qkv));
    const result = disentangledAttention(
      { ...stored, shape: [{ count: 'tokens', capacity: tokens }, 3 * dim] },
      { keys: table(keys), queries: table(queries) },
      upload(device, 'u32', [rows.length], rows),
      state,
      { heads, headDim, scale, ...(variant && { variant }) },
    );
    return { out: result };
  });
  return out.f32;
}

async function errorOf(device: Device, c: Case): Promise<number> {
  const inputs = makeInputs(c);
  return relativeError(await run(device, c, inputs), reference(c, inputs));
}

const LENGTHS = [1, 1, 2, 15, 16, 17, 64, 65, 131];

describeOnAdapters('disentangled attention', (open) => {
  // Each with another shape of tiles: they take long to compile on the CPU.
  it.each([
    { heads: 5, headDim: 6 },
    { heads: 2, headDim: 45 },
    { heads: 1, headDim: 96 },
    { heads: 1, headDim: 130 },
  ])('$heads heads of $headDim', async (shape) => {
    expect(await errorOf(await open(), { ...shape, lengths: LENGTHS })).toBeLessThan(2e-6);
  });

  it.each(['direct', 'tile'] as const)('%s: runs on any adapter', async (variant) => {
    const c = { heads: 5, headDim: 6, lengths: [1, 3, 150], variant };
    expect(await errorOf(await open(), c)).toBeLessThan(2e-6);
  });

  it('does with any of the tables', async () => {
    const device = await open();
    const shape = { heads: 5, headDim: 6, lengths: [1, 3, 150] };
    for (const c of [
      { ...shape, tables: 'none' },
      { ...shape, tables: 'keys', buckets: [0, 40] },
      { ...shape, tables: 'queries', buckets: [-1, 200] },
    ] as const) {
      expect(await errorOf(device, c), c.tables).toBeLessThan(2e-6);
    }
  });

  it('has the buckets of the published models', async () => {
    const c = { heads: 1, headDim: 1, lengths: [1, 1, 700], buckets: [256, 512] } as const;
    expect(await errorOf(await open(), c)).toBeLessThan(2e-6);
  });

  it('survives scores of some ten thousands', async () => {
    // Scores as large are known to about 1e-3 in f32, and so are the probabilities.
    const c = { heads: 5, headDim: 6, lengths: [1, 3, 70], range: 150 };
    expect(await errorOf(await open(), c)).toBeLessThan(1e-2);
  });

  it('gives a sequence the same bits in whatever step it comes', async () => {
    const device = await open();
    const shape = { heads: 5, headDim: 6 };
    const alone = await run(device, { ...shape, lengths: [70], seed: 3 });
    const among = await run(device, { ...shape, lengths: [1, 131, 70, 9], seed: 1 });
    expect(among.slice(132 * 30, 202 * 30)).toEqual(alone);
  });

  it('refuses shapes that do not fit', async () => {
    const device = await open();
    const c = { heads: 2, headDim: 6, lengths: [3] };
    const inputs = makeInputs(c);
    const refused = (changes: Partial<Inputs>, shape = c) =>
      expect(run(device, shape, { ...inputs, ...changes })).rejects;
    await refused({}, { ...c, headDim: 260 }).toThrow(ShapeError);
    await refused({ rows: new Uint32Array(4) }).toThrow(/4 entries, expected an odd number/);
    await refused({ queries: new Float32Array(24) }).toThrow(/position queries/);
  });
});
