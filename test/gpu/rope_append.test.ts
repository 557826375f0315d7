import { expect, it } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import {
  createKvLayer,
  kvBytesPerPage,
  paddedHeadDim,
  type KvDType,
} from '../../src/kernels/kv_cache.ts';
import { appendKv, ropeAppend, type RopeAppendOptions } from '../../src/kernels/rope_append.ts';
import { DeviceLimitError, ShapeError } from '../../src/util/errors.ts';
import {
  cacheIndex,
  fromF16,
  fromQ8,
  placeStep,
  poisonedCache,
  uploadCache,
  type PlacedStep,
} from '../support/attention_step.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { POISON, random, relativeError, runOp, upload } from '../support/run_op.ts';

const BASE = 10_000;

/** (y[a], y[b]) = (x[a] cos − x[b] sin, x[b] cos + x[a] sin) for each pair (a, b), in float64. */
function rotate(x: Float32Array, position: number, o: RopeAppendOptions): Float64Array {
  const y = Float64Array.from(x);
  const half = o.rotaryDim / 2;
  for (let i = 0; i < half; i += 1) {
    const angle = angleOf(position, i, o.rotaryDim);
    const [a, b] = o.interleaved ? [2 * i, 2 * i + 1] : [i, i + half];
    const [xa, xb] = [x[a] ?? 0, x[b] ?? 0];
    y[a] = xa * Math.cos(angle) - xb * Math.sin(angle);
    y[b] = xb * Math.cos(angle) + xa * Math.sin(angle);
  }
  return y;
}

function angleOf(position: number, i: number, rotaryDim: number): number {
  return position * BASE ** ((-2 * i) / rotaryDim);
}

const SEQUENCES = [
  { queries: 1, keys: 1 },
  { queries: 1, keys: 17 },
  { queries: 3, keys: 3 },
  { queries: 20, keys: 34 },
];

interface Case extends RopeAppendOptions {
  readonly dtype?: KvDType;
  readonly pageSize?: number;
  /** Whether pages follow each other, without tables. */
  readonly isConsecutive?: boolean;
  /** Largest magnitude of the input. */
  readonly range?: number;
}

interface Result {
  readonly queries: Float32Array;
  readonly keys: Float32Array;
  readonly values: Float32Array;
  readonly expected: {
    readonly queries: Float64Array;
    readonly keys: Float64Array;
    readonly values: Float64Array;
  };
}

/** Runs one step on a poisoned cache, by `appendKv` if there are no query heads; the expected cache differs from it only where the step's tokens lie. */
async function run(device: Device, c: Case): Promise<Result> {
  const { heads, kvHeads, headDim, rotaryDim, dtype = 'f32', pageSize = 16, range = 1 } = c;
  const { isConsecutive } = c;
  const layout = { sequences: SEQUENCES, pageSize, tileRows: 8, group: 1, isConsecutive };
  const step = placeStep(device, layout);
  const shape = { kvHeads, headDim, pageSize, pages: step.pages };
  const kv = uploadCache(device, shape, dtype, poisonedCache(shape));
  const width = (heads + 2 * kvHeads) * headDim;
  const rows = random(step.tokens * width, 7).map((x) => x * range);
  const rotary = step.rows.flatMap(({ position }) =>
    Array.from({ length: rotaryDim / 2 }, (_, i) => angleOf(position, i, rotaryDim)).flatMap(
      (angle) => [Math.cos(angle), Math.sin(angle)],
    ),
  );
  const table =
    rotaryDim === 0
      ? undefined
      : upload(device, 'f32', [step.tokens, rotaryDim / 2, 2], Float32Array.from(rotary));

  const result = await runOp(device, { tokens: step.tokens }, (r) => {
    // The last 5 rows of the bucket are not of this step.
    const qkv = upload(device, 'f32', [step.tokens, width], rows);
    const bucket = { count: 'tokens', capacity: step.tokens + 5 } as const;
    const x = r.tensor({ ...qkv, shape: [bucket, width] });
    const stored = { keys: r.tensor(kv.keys), values: r.tensor(kv.values) };
    if (heads > 0) return { queries: ropeAppend(x, table, step.state, kv, c), ...stored };
    appendKv(x, step.state, kv);
    return { queries: x, ...stored };
  });
  const stored = (bytes: Float32Array, tensor: 'keys' | 'values'): Float32Array => {
    if (dtype === 'q8') return fromQ8(bytes.buffer, shape, tensor);
    if (dtype === 'f32') return bytes;
    return Float32Array.from(new Uint16Array(bytes.buffer, 0, bytes.length * 2), fromF16);
  };
  return {
    queries: result.queries.f32.subarray(0, step.tokens * heads * paddedHeadDim(headDim)),
    keys: stored(result.keys.f32, 'keys'),
    values: stored(result.values.f32, 'values'),
    expected: expectedOf(c, step, shape, rows),
  };
}

function expectedOf(
  c: Case,
  step: PlacedStep,
  shape: { kvHeads: number; headDim: number; pageSize: number; pages: number },
  rows: Float32Array,
): Result['expected'] {
  const { heads, kvHeads, headDim, dtype = 'f32' } = c;
  const padded = paddedHeadDim(headDim);
  const most = dtype === 'f16' ? 65504 : Infinity;
  const clamp = (x: number): number => Math.max(-most, Math.min(most, x));
  const queries = new Float64Array(step.tokens * heads * padded);
  const size = shape.pages * kvHeads * shape.pageSize * padded;
  // NaN where nothing is stored.
  const keys = new Float64Array(size).fill(Number.NaN);
  const values = new Float64Array(size).fill(Number.NaN);
  step.rows.forEach(({ sequence, position }, t) => {
    const place = step.place(sequence, position);
    const head = (h: number): Float32Array =>
      rows.subarray((t * (heads + 2 * kvHeads) + h) * headDim).subarray(0, headDim);
    for (let h = 0; h < heads; h += 1) {
      queries.set(rotate(head(h), position, c), (t * heads + h) * padded);
    }
    for (let g = 0; g < kvHeads; g += 1) {
      const key = rotate(head(heads + g), position, c);
      const value = head(heads + kvHeads + g);
      for (let d = 0; d < padded; d += 1) {
        const at = cacheIndex(shape, place, g, d);
        keys[at.key] = clamp(key[d] ?? 0);
        values[at.value] = clamp(value[d] ?? 0);
      }
    }
  });
  return { queries, keys, values };
}

/** Error of what was stored; everything else must be as it was. */
function cacheError(actual: Float32Array, expected: Float64Array, dtype: KvDType): number {
  const poisons = {
    f32: Math.fround(POISON),
    f16: 65504,
    q8: Math.fround(127 * Math.fround(POISON / 127)),
  } as const;
  const poison = poisons[dtype];
  const indices = Array.from(actual.keys());
  const isStored = (i: number): boolean => !Number.isNaN(expected[i]);
  expect(indices.every((i) => isStored(i) || actual[i] === poison)).toBe(true);
  const stored = indices.filter(isStored);
  return relativeError(
    stored.map((i) => actual[i] ?? Number.NaN),
    stored.map((i) => expected[i] ?? Number.NaN),
  );
}

const HALF = { interleaved: false } as const;
const CASES: readonly Case[] = [
  { heads: 1, kvHeads: 1, headDim: 2, rotaryDim: 2, ...HALF },
  { heads: 3, kvHeads: 1, headDim: 10, rotaryDim: 10, ...HALF },
  { heads: 4, kvHeads: 2, headDim: 64, rotaryDim: 64, ...HALF },
  { heads: 2, kvHeads: 2, headDim: 80, rotaryDim: 20, ...HALF, pageSize: 5 },
  { heads: 3, kvHeads: 1, headDim: 11, rotaryDim: 6, interleaved: true },
  { heads: 5, kvHeads: 1, headDim: 7, rotaryDim: 0, ...HALF, isConsecutive: true },
  { heads: 2, kvHeads: 1, headDim: 256, rotaryDim: 256, interleaved: true, range: 1e5 },
];

describeOnAdapters('rope_append', (open) => {
  it.each(CASES)('$heads + $kvHeads heads of $headDim, $rotaryDim rotated', async (c) => {
    const { queries, keys, values, expected } = await run(await open(), c);
    expect(relativeError(queries, expected.queries)).toBeLessThan(5e-7);
    expect(cacheError(keys, expected.keys, 'f32')).toBeLessThan(5e-7);
    expect(cacheError(values, expected.values, 'f32')).toBe(0);
  });

  it.each([true, false])(
    'stores keys and values alone, pages in a row: %s',
    async (isConsecutive) => {
      const shape = { heads: 0, kvHeads: 5, headDim: 13, rotaryDim: 0, ...HALF, isConsecutive };
      const { keys, values, expected } = await run(await open(), shape);
      expect(cacheError(keys, expected.keys, 'f32')).toBe(0);
      expect(cacheError(values, expected.values, 'f32')).toBe(0);
    },
  );

  it.each([1, 1e6])('rounds to f16, inputs up to %d', async (range) => {
    const shape = { heads: 4, kvHeads: 2, headDim: 10, rotaryDim: 10, ...HALF };
    const { keys, values, expected } = await run(await open(), { ...shape, dtype: 'f16', range });
    // WGSL leaves open which way a conversion rounds: 2^-10 of the value at most.
    expect(cacheError(keys, expected.keys, 'f16')).toBeLessThan(2 ** -10);
    expect(cacheError(values, expected.values, 'f16')).toBeLessThan(2 ** -10);
  });

  it.each([0, 1, 1e6])('rounds to 8 bits, inputs up to %d', async (range) => {
    const shape = { heads: 4, kvHeads: 2, headDim: 10, rotaryDim: 10, ...HALF };
    const { keys, values, expected } = await run(await open(), { ...shape, dtype: 'q8', range });
    // Half a step of a head whose largest magnitude is 127 of them, and some roundings.
    expect(cacheError(keys, expected.keys, 'q8')).toBeLessThan(1 / 253.9);
    expect(cacheError(values, expected.values, 'q8')).toBeLessThan(1 / 253.9);
  });

  it('refuses shapes that do not fit', async () => {
    const device = await open();
    const c = { heads: 2, kvHeads: 1, headDim: 6, rotaryDim: 4, interleaved: false };
    await expect(run(device, { ...c, rotaryDim: 3 })).rejects.toThrow(/rotaryDim is 3/);
    await expect(run(device, { ...c, rotaryDim: 8 })).rejects.toThrow(/from 0 to headDim 6/);
    const kv = createKvLayer(device, 2, { kvHeads: 1, headDim: 8, pageSize: 16, dtype: 'f32' });
    await expect(
      runOp(device, {}, (r) => {
        const qkv = r.tensor(upload(device, 'f32', [1, 24], new Float32Array(24)));
        const { state } = placeStep(device, {
          sequences: SEQUENCES,
          pageSize: 16,
          tileRows: 8,
          group: 1,
        });
        return { queries: ropeAppend(qkv, undefined, state, kv, c) };
      }),
    ).rejects.toThrow(ShapeError);
  });

  it('allocates pages of the announced size, and no more than one binding holds', async () => {
    const device = await open();
    const shape = { kvHeads: 3, headDim: 10, pageSize: 5, dtype: 'f16' } as const;
    expect(kvBytesPerPage(shape)).toBe(2 * 3 * 12 * 5 * 2);
    const { keys, values } = createKvLayer(device, 7, shape);
    expect(keys.sizeBytes + values.sizeBytes).toBe(7 * kvBytesPerPage(shape));
    const most = device.facts.limits.maxStorageBufferBindingSize;
    const pages = Math.floor(most / (kvBytesPerPage(shape) / 2)) + 1;
    expect(() => createKvLayer(device, pages, shape)).toThrow(DeviceLimitError);
  });
});
