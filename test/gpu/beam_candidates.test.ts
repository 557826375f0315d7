import { expect, it } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import {
  BEAM_ROW_WORDS,
  beamCandidates,
  decodeBeamRow,
  encodeBeamRow,
  FORBIDDEN_FACTOR,
  MAX_BEAM_CANDIDATES,
  type BeamCandidate,
} from '../../src/kernels/beam_candidates.ts';
import { ShapeError } from '../../src/util/errors.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { POISON, random, runOp, upload } from '../support/run_op.ts';

interface Row {
  readonly logits: Float32Array;
  readonly count: number;
  readonly rules?: ReadonlyMap<number, number>;
  readonly renormalizes?: boolean;
}

/** Everything that is allowed, best first, by a full sort in float64. */
function reference({ logits, rules, renormalizes = false }: Row): readonly BeamCandidate[] {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
  const allowed = Array.from(logits, (logit, token) => {
    const factor = rules?.get(token) ?? 1;
    const score =
      factor >= FORBIDDEN_FACTOR ? -Infinity : (logit - largest - Math.log(sum)) * factor;
    return { token, score };
  })
    .filter(({ score }) => score > -Infinity)
    .sort((a, b) => b.score - a.score || a.token - b.token);
  const best = allowed[0]?.score ?? 0;
  const rest = allowed.reduce((total, { score }) => total + Math.exp(score - best), 0);
  const surplus = renormalizes ? best + Math.log(rest) : 0;
  return allowed.map(({ token, score }) => ({ token, score: score - surplus }));
}

async function run(device: Device, rows: readonly Row[]) {
  const vocab = rows[0]?.logits.length ?? 0;
  const logits = new Float32Array(rows.length * vocab);
  const words = new Uint32Array(rows.length * BEAM_ROW_WORDS);
  // An entry of nobody's first.
  const rules: [number, number][] = [[0, POISON]];
  rows.forEach((row, i) => {
    logits.set(row.logits, i * vocab);
    const own = [...(row.rules ?? [])];
    encodeBeamRow(words, i, {
      count: row.count,
      ruleStart: rules.length,
      ruleCount: own.length,
      renormalizes: row.renormalizes ?? false,
    });
    rules.push(...own);
  });
  const { out } = await runOp(device, { samples: rows.length }, (r) => {
    const uploaded = r.tensor(upload(device, 'f32', [rows.length, vocab], logits));
    const extent = { count: 'samples', capacity: rows.length } as const;
    const list = (pick: 0 | 1) => rules.map((rule) => rule[pick]);
    return {
      out: beamCandidates(
        { ...uploaded, shape: [extent, vocab] },
        {
          rows: upload(device, 'u32', [rows.length, BEAM_ROW_WORDS], words),
          ruleTokens: upload(device, 'u32', [rules.length], Uint32Array.from(list(0))),
          ruleFactors: upload(device, 'f32', [rules.length], Float32Array.from(list(1))),
        },
      ),
    };
  });
  const { buffer } = Uint32Array.from(out.u32);
  return rows.map(({ count }, i) => decodeBeamRow(buffer, i, count));
}

/** The best tokens are those of the reference, but for neighbours whose scores f32 may not tell apart. */
async function check(device: Device, rows: readonly Row[], tolerance = 2e-6): Promise<void> {
  const results = await run(device, rows);
  rows.forEach((row, i) => {
    const all = reference(row);
    const found = results[i] ?? [];
    expect(found).toHaveLength(Math.min(row.count, MAX_BEAM_CANDIDATES, all.length));
    const scores = new Map(all.map(({ token, score }) => [token, score]));
    expect(new Set(found.map(({ token }) => token)).size).toBe(found.length);
    found.forEach(({ token, score }, n) => {
      const expected = all[n]?.score ?? NaN;
      const within = tolerance * Math.max(1, Math.abs(expected));
      expect(Math.abs(score - expected), `row ${i}, candidate ${n}`).toBeLessThan(within);
      expect(Math.abs(score - (scores.get(token) ?? NaN))).toBeLessThan(within);
      const next = found[n + 1];
      if (next !== undefined) {
        expect(next.score < score || (next.score === score && next.token > token)).toBe(true);
      }
    });
  });
}

const logitsOf = (vocab: number, seed: number, range = 8): Float32Array =>
  random(vocab, seed).map((x) => x * range);

/** Tokens with these factors in turn, every `step` of them. */
function rulesOf(vocab: number, step: number, ...factors: readonly number[]): Map<number, number> {
  const rules = new Map<number, number>();
  for (let token = 0; token < vocab; token += step) {
    rules.set(token, factors[rules.size % factors.length] ?? 1);
  }
  return rules;
}

async function checkVocab(device: Device, vocab: number): Promise<void> {
  const rules = rulesOf(vocab, 3, 1.3, FORBIDDEN_FACTOR, 0.7);
  await check(device, [
    { logits: logitsOf(vocab, 7), count: 5 },
    { logits: logitsOf(vocab, 8), count: 64, rules },
  ]);
}

describeOnAdapters('beam candidates', (open) => {
  // Each vocabulary is a kernel to compile: the other tests share these two.
  it.each([50, 5000])('of a vocabulary of %i', async (vocab) => {
    await checkVocab(await open(), vocab);
  });

  it('orders equal scores by token, across chunks too', async () => {
    const device = await open();
    const logits = new Float32Array(5000).fill(-3);
    for (const token of [4999, 2048, 2047, 3, 1024]) logits[token] = 2;
    const rules = new Map([
      [2047, FORBIDDEN_FACTOR],
      [2048, 1],
    ]);
    const [all, some] = await run(device, [
      { logits, count: 7 },
      { logits, count: 7, rules },
    ]);
    expect(all?.map(({ token }) => token)).toEqual([3, 1024, 2047, 2048, 4999, 0, 1]);
    expect(some?.map(({ token }) => token)).toEqual([3, 1024, 2048, 4999, 0, 1, 2]);
    const equal = new Float32Array(5000);
    const [first] = await run(device, [{ logits: equal, count: 64 }]);
    expect(first?.map(({ token }) => token)).toEqual(Array.from({ length: 64 }, (_, i) => i));
  });

  it('lets rules change the order', async () => {
    const device = await open();
    const logits = new Float32Array(50).fill(-20);
    logits.set([1, 2, 3, 4], 46);
    const rules = new Map([
      [49, 8],
      [46, 0.1],
    ]);
    const [found] = await run(device, [{ logits, count: 4, rules }]);
    expect(found?.map(({ token }) => token)).toEqual([46, 48, 47, 49]);
    await check(device, [{ logits, count: 4, rules }]);
  });

  it('finds what rules leave', async () => {
    const device = await open();
    const vocab = 5000;
    const nearlyAll = rulesOf(vocab, 1, FORBIDDEN_FACTOR);
    nearlyAll.delete(4321);
    nearlyAll.set(17, 1.5);
    const rows = [
      { logits: logitsOf(vocab, 3), count: 8, rules: nearlyAll },
      { logits: logitsOf(vocab, 4), count: 8, rules: rulesOf(vocab, 1, FORBIDDEN_FACTOR) },
      { logits: logitsOf(vocab, 5), count: 8, rules: rulesOf(vocab, 1, 1.2) },
      { logits: logitsOf(vocab, 6), count: 0, rules: nearlyAll },
    ];
    await check(device, rows);
    expect((await run(device, rows)).map(({ length }) => length)).toEqual([2, 0, 8, 0]);
  });

  it.each([50, 5000])('makes what rules leave of %i tokens sum to 1', async (vocab) => {
    const device = await open();
    const certain = logitsOf(vocab, 11, 1);
    certain[3] = 40;
    const forbidden = new Map([[3, FORBIDDEN_FACTOR]]);
    const none = rulesOf(vocab, 1, FORBIDDEN_FACTOR);
    const rows = [
      { logits: logitsOf(vocab, 12), count: 8, rules: rulesOf(vocab, 3, FORBIDDEN_FACTOR, 1.3) },
      { logits: logitsOf(vocab, 13), count: 8, rules: rulesOf(vocab, 1, 1.3, 0.7) },
      { logits: logitsOf(vocab, 14), count: 8 },
      { logits: certain, count: 8, rules: forbidden },
      { logits: certain, count: 8, rules: none },
    ].map((row) => ({ ...row, renormalizes: true }));
    await check(device, [...rows, { logits: certain, count: 8, rules: forbidden }]);
  });

  it('passes over rules about tokens that do not exist', async () => {
    const device = await open();
    const logits = logitsOf(50, 8);
    const rules = new Map([
      [50, 0.01],
      [70_000, 0.01],
      [2 ** 31, FORBIDDEN_FACTOR],
    ]);
    const [ruled, plain] = await run(device, [
      { logits, count: 50, rules },
      { logits, count: 50 },
    ]);
    expect(ruled).toEqual(plain);
  });

  it('stays finite with extreme logits', async () => {
    const device = await open();
    const logits = logitsOf(50, 9);
    logits.set([-1e38, -1e30, 0, -3e38, 50, 1e4, -Infinity]);
    const rules = new Map([[1, 1e20]]);
    const [found] = await run(device, [{ logits, count: 50, rules }]);
    expect(found?.map(({ token }) => token).slice(0, 2)).toEqual([5, 4]);
    expect(found).toHaveLength(50);
    expect(found?.every(({ score }) => Number.isFinite(score))).toBe(true);
    await check(device, [{ logits: logitsOf(50, 10, 1e4), count: 50 }]);
  });

  it('fills 64 rows', async () => {
    const rows = Array.from({ length: 64 }, (_, i) => ({
      logits: logitsOf(50, 20 + i),
      count: 1 + (i % 9),
      rules: rulesOf(50, 2 + (i % 5), FORBIDDEN_FACTOR, 1.1),
    }));
    await check(await open(), rows);
  });

  it('refuses shapes that do not fit', async () => {
    const device = await open();
    const state = (rows: number, factors: number) => ({
      rows: upload(device, 'u32', [rows, BEAM_ROW_WORDS], new Uint32Array(rows * BEAM_ROW_WORDS)),
      ruleTokens: upload(device, 'u32', [2], new Uint32Array(2)),
      ruleFactors: upload(device, 'f32', [factors], new Float32Array(factors)),
    });
    const logits = upload(device, 'f32', [2, 5], new Float32Array(10));
    const refused = (rows: number, factors: number) =>
      expect(
        runOp(device, {}, (r) => ({ out: beamCandidates(r.tensor(logits), state(rows, factors)) })),
      ).rejects;
    await refused(1, 2).toThrow(ShapeError);
    await refused(2, 1).toThrow(/ruleFactors/);
  });
});

// How rows are cut into chunks is the same with and without optional features.
describeOnAdapters(
  'beam candidates',
  (open) => {
    it.each([2, 250_112])('of a vocabulary of %i', async (vocab) => {
      await checkVocab(await open(), vocab);
    });
  },
  'full devices',
);
