/** Attention on sequences of any kind, beside a float64 reference. @module */
import type { Device } from '../../src/gpu/device.ts';
import {
  attention,
  attentionTileRows,
  type AttentionVariant,
} from '../../src/kernels/attention.ts';
import { suitsOne } from '../../src/kernels/attention_one.ts';
import { paddedHeadDim, type KvDType } from '../../src/kernels/kv_cache.ts';
import {
  cacheIndex,
  fromF16,
  placeStep,
  poisonedCache,
  toF16,
  toQ8,
  uploadCache,
  type PlacedStep,
  type SequenceSpec,
  type StepSpec,
} from './attention_step.ts';
import { random, relativeError, runOp, upload } from './run_op.ts';

/** What is computed, and of what; all numbers are random, but the same for the same case. */
export interface AttentionCase {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly sequences: readonly SequenceSpec[];
  readonly pageSize?: number;
  readonly window?: number;
  readonly sees?: StepSpec['sees'];
  readonly isConsecutive?: boolean;
  /** Reach of a relative bias, and the heads that its table has, by default as many as the queries. */
  readonly reach?: number;
  readonly biasHeads?: number;
  readonly tableWidth?: number;
  readonly splits?: number;
  readonly dtype?: KvDType;
  /** A variant of one query that the device has no subgroups for is replaced by `split`. */
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
  /** [2 · reach + 1, heads] */
  readonly bias: Float32Array;
}

/** out[t, h] = Σ p v / Σ p with p = exp(scale q·k + bias − max) over the keys that t sees, in float64. */
function reference(c: AttentionCase, step: PlacedStep, { q, k, v, bias }: Inputs): Float64Array {
  const { heads, kvHeads, headDim, scale = headDim ** -0.5, reach = 0 } = c;
  const biasOf = (distance: number, h: number): number =>
    bias[(Math.max(-reach, Math.min(reach, distance)) + reach) * heads + h] ?? 0;
  const out = new Float64Array(step.tokens * heads * headDim);
  step.rows.forEach(({ sequence, position }, t) => {
    const keys = k[sequence] ?? new Float32Array();
    const values = v[sequence] ?? new Float32Array();
    for (let h = 0; h < heads; h += 1) {
      const row = (t * heads + h) * headDim;
      const at = (j: number): number => (j * kvHeads + Math.floor(h / (heads / kvHeads))) * headDim;
      const scores: number[] = [];
      const [first, end] = step.visible(t);
      for (let j = first; j < end; j += 1) {
        let score = 0;
        for (let d = 0; d < headDim; d += 1) score += (q[row + d] ?? 0) * (keys[at(j) + d] ?? 0);
        scores.push(score * scale + biasOf(j - position, h));
      }
      const largest = Math.max(...scores);
      const p = scores.map((score) => Math.exp(score - largest));
      const sum = p.reduce((a, b) => a + b, 0);
      p.forEach((weight, i) => {
        const j = at(first + i);
        for (let d = 0; d < headDim; d += 1) {
          out[row + d] = (out[row + d] ?? 0) + (weight / sum) * (values[j + d] ?? 0);
        }
      });
    }
  });
  return out;
}

function makeInputs(c: AttentionCase, step: PlacedStep): Inputs {
  const { heads, kvHeads, headDim, range = 2, dtype } = c;
  const stored = (x: number): number => (dtype === 'f16' ? fromF16(toF16(x)) : Math.fround(x));
  // What a q8 cache holds, so that only the arithmetic on it is judged.
  const held = (elements: Float32Array): Float32Array =>
    dtype === 'q8' ? byHead(elements, headDim) : elements.map(stored);
  const rowSize = heads * headDim;
  const q = new Float32Array(step.tokens * rowSize);
  c.sequences.forEach(({ queries, keys }, s) => {
    // A query is the same in whatever chunk it comes.
    const own = random(Math.max(keys, queries) * rowSize, 300 + s).map((x) => x * range);
    const row = step.rows.findIndex(({ sequence }) => sequence === s);
    q.set(own.subarray(own.length - queries * rowSize), row * rowSize);
  });
  return {
    q,
    k: c.sequences.map(({ keys }, s) =>
      held(random(keys * kvHeads * headDim, 100 + s).map((x) => x * range)),
    ),
    v: c.sequences.map(({ keys }, s) => held(random(keys * kvHeads * headDim, 200 + s))),
    bias: random(c.reach === undefined ? 0 : (2 * c.reach + 1) * heads, 400),
  };
}

function byHead(elements: Float32Array, headDim: number): Float32Array {
  const held = new Float32Array(elements.length);
  for (let at = 0; at < elements.length; at += headDim) {
    const { scale, steps } = toQ8([...elements.subarray(at, at + headDim)]);
    held.set(
      steps.map((step) => step * scale),
      at,
    );
  }
  return held;
}

/** The cache as it is after the step's append: only keys that a query of the step sees are there. */
function fillCache(device: Device, c: AttentionCase, step: PlacedStep, { k, v }: Inputs) {
  const { kvHeads, headDim, pageSize = 16, dtype = 'f32', sequences } = c;
  const shape = { kvHeads, headDim, pageSize, pages: step.pages };
  const cache = poisonedCache(shape);
  sequences.forEach(({ keys }, s) => {
    for (let j = step.firstVisible(s); j < keys; j += 1) {
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

/** Runs one step, on a cache in which everything that must not be read is poison. */
export async function runAttention(
  device: Device,
  c: AttentionCase,
): Promise<{ readonly actual: Float32Array; readonly expected: Float64Array }> {
  const { heads, kvHeads, headDim, scale = headDim ** -0.5, window, splits = 1 } = c;
  const step = placeStep(device, {
    sequences: c.sequences,
    pageSize: c.pageSize ?? 16,
    window,
    sees: c.sees,
    isConsecutive: c.isConsecutive,
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
  const { reach, biasHeads = heads } = c;
  const bias =
    reach === undefined
      ? undefined
      : { reach, table: upload(device, 'f32', [2 * reach + 1, biasHeads], inputs.bias) };
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
        causal: c.sees === undefined || c.sees === 'before',
        bias,
        maxSplits: 16,
        ...(c.variant && { variant: runnable(c.variant, device) }),
      }),
    };
  });
  return { actual: out.f32, expected: reference(c, step, inputs) };
}

function runnable(variant: AttentionVariant, { facts }: Device): AttentionVariant {
  if (variant === 'direct' || suitsOne(variant.one, facts)) return variant;
  return { ...variant, one: 'split' };
}

/** Largest error of a step, relative to the largest result. */
export async function attentionError(device: Device, c: AttentionCase): Promise<number> {
  const { actual, expected } = await runAttention(device, c);
  return relativeError(actual, expected);
}

/** Sequences with one query and as many keys. */
export function singles(...lengths: readonly number[]): SequenceSpec[] {
  return lengths.map((keys) => ({ queries: 1, keys }));
}
