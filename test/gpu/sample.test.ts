import { describe, expect, it } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import type { DeviceTensor } from '../../src/gpu/tensor.ts';
import {
  decodeSampleRow,
  encodeSampleRow,
  HISTORY_PROMPT,
  MAX_TOP_LOGPROBS,
  sample,
  SAMPLE_RESULT_WORDS,
  SAMPLE_ROW_WORDS,
  type SampleParams,
  type SampleResult,
} from '../../src/kernels/sample.ts';
import { ShapeError } from '../../src/util/errors.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import {
  adjusted,
  draw,
  logSoftmax,
  type ReferenceDraw,
  type ReferenceHistory,
} from '../support/reference_sampler.ts';
import { random, runOp, upload } from '../support/run_op.ts';

/** Decisions closer than this are left to f32. */
const MARGIN = 1e-4;

const PLAIN: SampleParams = {
  slot: 0,
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  seedLow: 1,
  seedHigh: 2,
  position: 0,
  biasStart: 0,
  biasCount: 0,
  wantsLogprobs: false,
  topLogprobs: 0,
  keepsHistory: false,
};

const NOTHING: ReferenceHistory = { prompt: new Set(), times: new Map() };

/** One sample row of a test, and what its slot remembers. */
interface Row {
  readonly logits: Float32Array;
  readonly params: Partial<SampleParams>;
  readonly bias?: ReadonlyMap<number, number>;
  readonly history?: ReferenceHistory;
}

interface Outcome {
  readonly results: readonly SampleResult[];
  readonly words: Uint32Array;
  readonly history: Uint32Array;
  readonly lastTokens: Uint32Array;
}

/** Samples all rows in one step; row i uses slot `slots - 1 - i`, slot 0 stays unused. */
async function run(
  device: Device,
  vocab: number,
  rows: readonly Row[],
  capacity = rows.length,
): Promise<Outcome> {
  const slots = rows.length + 1;
  const logits = new Float32Array(capacity * vocab).fill(1e30);
  const words = new Uint32Array(capacity * SAMPLE_ROW_WORDS);
  const history = new Uint32Array(slots * vocab);
  const bias = rows.flatMap((row) => [...(row.bias ?? [])]);
  let biasStart = 0;
  for (const [i, row] of rows.entries()) {
    logits.set(row.logits, i * vocab);
    const slot = slots - 1 - i;
    const { prompt, times } = row.history ?? NOTHING;
    for (const token of prompt) history[slot * vocab + token] = HISTORY_PROMPT;
    for (const [token, n] of times)
      history[slot * vocab + token] = (history[slot * vocab + token] ?? 0) + n;
    const biasCount = row.bias?.size ?? 0;
    const params = { ...PLAIN, ...row.params, slot, biasStart, biasCount };
    encodeSampleRow(words, new Float32Array(words.buffer), i, params);
    biasStart += biasCount;
  }
  const size = Math.max(1, bias.length);
  const state = {
    rows: upload(device, 'u32', [capacity, SAMPLE_ROW_WORDS], words),
    biasTokens: upload(
      device,
      'u32',
      [size],
      Uint32Array.from([...bias, [0, 0]], ([token = 0]) => token),
    ),
    biasValues: upload(
      device,
      'f32',
      [size],
      Float32Array.from([...bias, [0, 0]], ([, value = 0]) => value),
    ),
  };
  const memory = {
    history: upload(device, 'u32', [slots, vocab], history),
    lastTokens: upload(device, 'u32', [slots], new Uint32Array(slots).fill(0xffff)),
  };
  const candidates = rows.some((row) => row.params.wantsLogprobs === true) ? rows.length : 0;
  const given = upload(device, 'f32', [capacity, vocab], logits);
  const out = await runOp(device, { samples: rows.length, candidates }, (r) => ({
    results: sample(
      { ...r.tensor(given), shape: [{ count: 'samples', capacity }, vocab] },
      state,
      memory,
    ),
    history: r.tensor(memory.history),
    lastTokens: r.tensor(memory.lastTokens),
    logits: r.tensor(given),
  }));
  expect(out.logits.f32).toEqual(logits);
  for (const { memory: at } of [...Object.values(state), ...Object.values(memory), given]) {
    if (at.kind === 'buffer') device.destroyBuffer(at.buffer);
  }
  const top = (row: Row): number => Math.min(vocab, row.params.topLogprobs ?? 0);
  return {
    results: rows.map((row, i) => decodeSampleRow(out.results.u32.slice().buffer, i, top(row))),
    words: out.results.u32,
    history: out.history.u32,
    lastTokens: out.lastTokens.u32,
  };
}

async function tokens(
  device: Device,
  vocab: number,
  rows: readonly Row[],
): Promise<readonly number[]> {
  return (await run(device, vocab, rows)).results.map(({ token }) => token);
}

const draws = new WeakMap<Row, ReferenceDraw>();

function expected(row: Row): ReferenceDraw {
  const params = { ...PLAIN, ...row.params };
  const z = adjusted(row.logits, params, row.history ?? NOTHING, row.bias ?? new Map());
  const found = draws.get(row) ?? draw(z, params);
  draws.set(row, found);
  return found;
}

/** Random rows whose decisions are all wider than `MARGIN`. */
function randomRows(vocab: number, count: number): readonly Row[] {
  const rows: Row[] = [];
  for (let seed = 1; rows.length < count; seed += 1) {
    const pick = random(24, seed * 7919).map((v) => (v + 1) / 2);
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, ...ids] = pick;
    const chosen = ids.map((v) => Math.floor(v * vocab));
    const row: Row = {
      logits: random(vocab, seed).map((v) => v * (a < 0.5 ? 4 : 20)),
      params: {
        temperature: b < 0.1 ? 0 : 0.2 + 2 * b,
        topK: c < 0.4 ? 0 : Math.ceil(c * c * vocab),
        topP: d < 0.4 ? 1 : d,
        minP: e < 0.5 ? 0 : (e - 0.5) ** 3,
        repetitionPenalty: f < 0.5 ? 1 : 0.7 + f,
        frequencyPenalty: g < 0.5 ? 0 : 2 * g - 1.5,
        presencePenalty: h < 0.5 ? 0 : 2 * h - 1.5,
        keepsHistory: a < 0.7,
        seedLow: seed * 3,
        seedHigh: seed,
        position: seed % 5,
      },
      bias: new Map(chosen.slice(0, seed % 6).map((token, i) => [token, i - 2.25])),
      history: {
        prompt: new Set(chosen.slice(4, 10)),
        times: new Map(chosen.slice(8).map((token, i) => [token, 1 + (i % 3)])),
      },
    };
    if (expected(row).margin > MARGIN) rows.push(row);
  }
  return rows;
}

/**
 * Fewer tokens than threads, and several chunks and a part. Each vocabulary is three kernels to compile, for seconds
 * where reductions go through workgroup memory: all tests but those of the extremes share these.
 */
const [SMALL, SEVERAL_CHUNKS] = [97, 4097];

const LARGE = 151_936;

/** Like what models give: most tokens far down, a few hundred in reach. */
const LARGE_ROWS: readonly Row[] = (() => {
  const peaks = random(LARGE, 77);
  const logits = random(LARGE, 5).map((v, i) => 3 * v + 9 * (peaks[i] ?? 0) ** 9);
  const choices: readonly Partial<SampleParams>[] = [
    { temperature: 0 },
    { temperature: 1 },
    { temperature: 0.7, topK: 50, topP: 0.95, wantsLogprobs: true, topLogprobs: 5 },
    { temperature: 1.5, topP: 0.9 },
    { temperature: 1, minP: 0.05 },
    { temperature: 1, topK: 150_000 },
  ];
  return choices.map((params, i) => ({ logits, params: { ...params, seedLow: i } }));
})();

function describeVocab(open: () => Promise<Device>, vocab: number): void {
  describe(`of ${vocab} tokens`, () => {
    const rows = randomRows(vocab, 40);

    it('draws as the reference does, and remembers', async () => {
      const device = await open();
      const { results, history, lastTokens } = await run(device, vocab, rows, rows.length + 3);
      const want = rows.map((row) => expected(row).token);
      expect(results.map(({ token }) => token)).toEqual(want);
      expect(lastTokens).toEqual(Uint32Array.of(0xffff, ...want.toReversed()));
      for (const [i, { params, history: before = NOTHING }] of rows.entries()) {
        const slot = rows.length - i;
        const bumped = want[i] ?? -1;
        const counts = history.subarray(slot * vocab, (slot + 1) * vocab);
        const expectedCounts = Uint32Array.from({ length: vocab }, (_, token) => {
          const times = before.times.get(token) ?? 0;
          const added = params.keepsHistory === true && token === bumped ? 1 : 0;
          return (before.prompt.has(token) ? HISTORY_PROMPT : 0) + times + added;
        });
        expect(counts).toEqual(expectedCounts);
      }
    });

    it('reports log-probabilities', async () => {
      const device = await open();
      const asking = rows.slice(0, 6).map((row, i) => ({
        ...row,
        params: {
          ...row.params,
          wantsLogprobs: i !== 2,
          topLogprobs: [0, 1, 5, MAX_TOP_LOGPROBS][i % 4] ?? 0,
        },
      }));
      const { results } = await run(device, vocab, asking);
      for (const [i, row] of asking.entries()) {
        const logp = logSoftmax(row.logits);
        const result = results[i];
        if (!row.params.wantsLogprobs) {
          expect(result?.logprob).toBe(0);
          continue;
        }
        expect(Math.abs((result?.logprob ?? 0) - (logp[expected(row).token] ?? 0))).toBeLessThan(
          1e-5,
        );
        const order = Array.from(logp.keys()).sort(
          (a, b) => (row.logits[b] ?? 0) - (row.logits[a] ?? 0) || a - b,
        );
        const top = order.slice(0, row.params.topLogprobs);
        expect(result?.top.map(({ token }) => token)).toEqual(top);
        for (const { token, logprob } of result?.top ?? []) {
          expect(Math.abs(logprob - (logp[token] ?? 0))).toBeLessThan(1e-5);
        }
      }
    });
  });
}

describeOnAdapters('sample', (open) => {
  describeVocab(open, SMALL);
  describeVocab(open, SEVERAL_CHUNKS);

  it('draws with the probabilities of the distribution', async () => {
    const device = await open();
    // The others are never drawn.
    const logits = new Float32Array(SMALL).fill(-200);
    logits.set([0, 1, -1, 2, 0.5, -3, 1.5]);
    const probabilities = logSoftmax(logits.map((v) => v / 0.8)).map((v) => Math.exp(v));
    const counts = new Float64Array(SMALL);
    const total = 3000;
    const rows = Array.from({ length: total }, (_, position) => ({
      logits,
      params: { temperature: 0.8, position },
    }));
    for (const token of await tokens(device, SMALL, rows)) counts[token] = (counts[token] ?? 0) + 1;
    expect(counts.slice(7).every((count) => count === 0)).toBe(true);
    const chiSquare = counts.slice(0, 7).reduce((sum, count, token) => {
      const mean = total * (probabilities[token] ?? 0);
      return sum + (count - mean) ** 2 / mean;
    }, 0);
    expect(chiSquare).toBeLessThan(16.8); // 6 degrees of freedom: passed by 1 in 100 good generators
  });

  it('keeps exactly the tokens that the reference keeps', async () => {
    const device = await open();
    const logits = random(SMALL, 8).map((v) => 3 * v);
    for (const params of [
      { topK: 5 },
      { topP: 0.3 },
      { minP: 0.6 },
      { topK: 9, topP: 0.5, minP: 0.4 },
    ]) {
      const rows = Array.from({ length: 200 }, (_, position) => ({
        logits,
        params: { ...params, position },
      }));
      const drawn = new Set(await tokens(device, SMALL, rows));
      expect([...drawn].sort((a, b) => a - b)).toEqual(expected({ logits, params }).kept);
    }
  });

  it('draws the same in any row, batch and slot', async () => {
    const device = await open();
    const rows = randomRows(SMALL, 12);
    const together = await tokens(device, SMALL, rows);
    const reversed = await tokens(device, SMALL, rows.toReversed());
    expect(reversed.toReversed()).toEqual(together);
    for (const [i, row] of rows.slice(0, 4).entries()) {
      expect(await tokens(device, SMALL, [row])).toEqual([together[i]]);
    }
  });

  it('draws differently with another seed or position', async () => {
    const device = await open();
    const logits = new Float32Array(SEVERAL_CHUNKS);
    const [base, ...others] = await tokens(device, SEVERAL_CHUNKS, [
      { logits, params: {} },
      { logits, params: { seedLow: 2 } },
      { logits, params: { seedHigh: 3 } },
      { logits, params: { position: 1 } },
    ]);
    expect(new Set([base, ...others]).size).toBe(4);
  });

  it('keeps ties at a threshold, and gives them to the lowest token when greedy', async () => {
    const device = await open();
    const flat = new Float32Array(SEVERAL_CHUNKS).fill(-7.5);
    const steps = Float32Array.from(flat, (_, i) => i % 3);
    const rows: readonly Row[] = [
      { logits: flat, params: { temperature: 0 } },
      { logits: flat, params: { topK: 1 } },
      { logits: flat, params: { topP: 0 } },
      { logits: flat, params: { topP: 0.5, minP: 1 } },
      { logits: steps, params: { temperature: 0 } },
      { logits: steps, params: { topK: 2, position: 1 } },
      { logits: steps, params: { topP: 0.1, position: 2 } },
      { logits: steps, params: { minP: 1, position: 3 } },
    ];
    const drawn = await tokens(device, SEVERAL_CHUNKS, rows);
    expect(drawn).toEqual(rows.map((row) => expected(row).token));
    expect(rows.map((row) => expected(row).kept.length)).toEqual([
      1, 4097, 4097, 4097, 1, 1365, 1365, 1365,
    ]);
  });

  it('stays finite with bans, forced tokens and extreme values', async () => {
    const device = await open();
    const vocab = SMALL;
    const logits = random(vocab, 3);
    const all = Array.from(logits.keys());
    const banned = new Map(all.filter((token) => token !== 60).map((token) => [token, -1e30]));
    const everything = new Map(all.map((token) => [token, -1e30]));
    const peaked = Float32Array.from(logits, (v, i) => (i === 31 ? 3e38 : -3e38 * Math.abs(v)));
    const forced: readonly Row[] = [
      { logits, params: {}, bias: banned },
      { logits, params: { topK: 5, topP: 0.9, temperature: 1e-30 }, bias: banned },
      { logits, params: { temperature: 0 }, bias: banned },
      { logits, params: { topP: 0.999 }, bias: new Map([[60, 1e30]]) },
      { logits, params: { topP: 0.5, temperature: 1.9 }, bias: new Map([[60, 1e38]]) },
    ];
    expect(await tokens(device, vocab, forced)).toEqual([60, 60, 60, 60, 60]);
    const peaks: readonly Row[] = [
      { logits: peaked, params: { temperature: 0 } },
      { logits: peaked, params: { topP: 0.9 } },
      { logits: peaked, params: { topK: 40, wantsLogprobs: true, topLogprobs: 1 } },
    ];
    const { results } = await run(device, vocab, peaks);
    expect(results.map(({ token }) => token)).toEqual([31, 31, 31]);
    expect(results[2]).toEqual({ token: 31, logprob: 0, top: [{ token: 31, logprob: 0 }] });
    const odd: readonly Row[] = [
      { logits, params: { topK: 3 }, bias: everything },
      { logits, params: { temperature: 1e30 } },
      { logits, params: { temperature: 1e-30, topP: 0.5 } },
      { logits, params: { topK: 0xffffffff, minP: 1e-38 } },
    ];
    for (const token of await tokens(device, vocab, odd)) expect(token).toBeLessThan(vocab);
  });

  it('refuses shapes that do not fit', async () => {
    const device = await open();
    const tensor = (dtype: DeviceTensor['dtype'], ...shape: readonly number[]): DeviceTensor =>
      upload(device, dtype, shape, new Uint32Array(shape.reduce((n, size) => n * size, 1)));
    const logits = tensor('f32', 2, SMALL);
    const state = {
      rows: tensor('u32', 2, SAMPLE_ROW_WORDS),
      biasTokens: tensor('u32', 4),
      biasValues: tensor('f32', 4),
    };
    const memory = { history: tensor('u32', 3, SMALL), lastTokens: tensor('u32', 3) };
    const attempt = (s: Partial<typeof state>, m: Partial<typeof memory>): Promise<unknown> =>
      runOp(device, { samples: 2 }, (r) => ({
        results: sample(r.tensor(logits), { ...state, ...s }, { ...memory, ...m }),
      }));
    await expect(attempt({}, {})).resolves.toBeDefined();
    await expect(attempt({ rows: tensor('u32', 1, SAMPLE_ROW_WORDS) }, {})).rejects.toThrow(
      ShapeError,
    );
    await expect(attempt({ biasValues: tensor('f32', 3) }, {})).rejects.toThrow(ShapeError);
    await expect(attempt({}, { history: tensor('u32', 3, SMALL - 1) })).rejects.toThrow(ShapeError);
    await expect(attempt({}, { lastTokens: tensor('u32', 2) })).rejects.toThrow(ShapeError);
    expect(SAMPLE_RESULT_WORDS).toBe(42);
  });
});

// How rows are cut into chunks is the same with and without optional features.
describeOnAdapters(
  'sample, at the extremes,',
  (open) => {
    describeVocab(open, 1);

    it('covers a vocabulary of 151,936', async () => {
      const device = await open();
      const { results } = await run(device, LARGE, LARGE_ROWS);
      const drawn = results.map(({ token }) => token);
      expect(drawn).toEqual(LARGE_ROWS.map((row) => expected(row).token));
      const logp = logSoftmax(LARGE_ROWS[0]?.logits ?? []);
      const { top = [] } = results[2] ?? {};
      expect(top).toHaveLength(5);
      for (const { token, logprob } of top) {
        expect(Math.abs(logprob - (logp[token] ?? 0))).toBeLessThan(1e-5);
      }
    });
  },
  'full devices',
);
