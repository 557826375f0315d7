import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BeamCandidate,
  BeamSearch,
  type BeamSearchOptions,
  candidatesPerBeam,
  FORBIDDEN_SCORE,
  type Hypothesis,
} from '../../../../src/engine/core/beam_search.ts';
import { FORBIDDEN, tokenRules, type TokenRules } from '../../../../src/engine/core/token_rules.ts';
import { readTokenRules } from '../../../../src/engine/generation_rules.ts';
import { OptionReader, wrongIn } from '../../../../src/engine/option_reader.ts';

const EOS = 0;
const OPTIONS: BeamSearchOptions = {
  numBeams: 2,
  numReturn: 2,
  lengthPenalty: 1,
  earlyStopping: false,
  eosIds: new Set([EOS]),
  maxNewTokens: 10,
};

/** Runs a search to its end; `candidates` says what may follow the tokens generated so far. */
function search(
  options: Partial<BeamSearchOptions>,
  candidates: (tokens: readonly number[]) => readonly BeamCandidate[],
): { readonly hypotheses: readonly Hypothesis[]; readonly rounds: number } {
  const all = { ...OPTIONS, ...options };
  const beams = new BeamSearch(all);
  let running = Array.from({ length: all.numBeams }, (): readonly number[] => []);
  for (let rounds = 1; ; rounds++) {
    const round = beams.advance(running.map(candidates));
    if (round.kind === 'finished') return { hypotheses: round.hypotheses, rounds };
    expect(round.choices).toHaveLength(all.numBeams);
    running = round.choices.map(({ parent, token }) => [...(running[parent] ?? []), token]);
  }
}

const probabilities = (table: Readonly<Record<number, number>>): readonly BeamCandidate[] =>
  Object.entries(table)
    .map(([token, probability]) => ({ token: Number(token), score: Math.log(probability) }))
    .sort((a, b) => b.score - a.score);

describe('BeamSearch', () => {
  it('finds what is likely as a whole, though it begins with what is less likely', () => {
    const { hypotheses } = search({ lengthPenalty: 0 }, (tokens) => {
      if (tokens.length === 0) return probabilities({ 1: 0.6, 2: 0.4 });
      if (tokens[0] === 2) return probabilities({ [EOS]: 0.9, 3: 0.1 });
      return probabilities({ [EOS]: 0.3, 3: 0.4, 4: 0.3 });
    });
    expect(hypotheses[0]?.tokens).toEqual([2, EOS]);
    expect(hypotheses[0]?.sumLogprob).toBeCloseTo(Math.log(0.36), 12);
  });

  it('divides the sum by a power of the length, the EOS counted', () => {
    const { hypotheses } = search({ lengthPenalty: 2, maxNewTokens: 3 }, (tokens) =>
      probabilities(tokens.length === 0 ? { 1: 0.5, 2: 0.5 } : { [EOS]: 0.5, 3: 0.5 }),
    );
    for (const { tokens, score, sumLogprob } of hypotheses) {
      expect(score).toBeCloseTo(sumLogprob / tokens.length ** 2, 12);
    }
    expect(hypotheses.map(({ tokens }) => tokens.length)).toEqual([3, 3]);
  });

  it('lets an EOS end a sequence only if it is among the best numBeams', () => {
    const first = probabilities({ 1: 0.5, 2: 0.3, [EOS]: 0.2 });
    const { hypotheses } = search({ maxNewTokens: 2, numReturn: 2 }, (tokens) =>
      tokens.length === 0 ? first : probabilities({ 3: 0.9, 4: 0.1 }),
    );
    expect(hypotheses.map(({ tokens }) => tokens)).toEqual([
      [1, 3],
      [2, 3],
    ]);
  });

  /** Two sequences end soon; another goes on forever, ever better. */
  const endless = (tokens: readonly number[]): readonly BeamCandidate[] => {
    if (tokens.length === 0) return probabilities({ [EOS]: 0.35, 1: 0.4, 2: 0.25 });
    return probabilities(tokens[0] === 1 ? { 1: 0.97, 3: 0.03 } : { [EOS]: 0.9, 3: 0.1 });
  };

  it('stops with numBeams finished sequences if asked to stop early', () => {
    const early = search({ earlyStopping: true }, endless);
    const patient = search({ earlyStopping: 'never' }, endless);
    expect(early.rounds).toBeLessThan(patient.rounds);
    expect(patient.rounds).toBe(OPTIONS.maxNewTokens);
    expect(patient.hypotheses[0]?.score).toBeGreaterThan(early.hypotheses[0]?.score ?? 0);
  });

  it('goes on while the best running sequence is better at its present length', () => {
    // After two rounds [EOS] and [1, EOS] have finished; [1, 3] has the smaller sum, but ln 0.27 / 2 > ln 0.18 / 2.
    const { hypotheses, rounds } = search({ numReturn: 1 }, (tokens) => {
      if (tokens.length === 0) return probabilities({ [EOS]: 0.55, 1: 0.45 });
      if (tokens.length === 1) return probabilities({ 3: 0.6, [EOS]: 0.4 });
      return probabilities({ [EOS]: 0.9, 3: 0.1 });
    });
    expect(hypotheses[0]?.tokens).toEqual([1, 3, EOS]);
    expect(rounds).toBe(3);
  });

  it('scores the sequences that still run at the maximum length', () => {
    const { hypotheses, rounds } = search({ maxNewTokens: 4 }, () =>
      probabilities({ 1: 0.8, 2: 0.2 }),
    );
    expect(rounds).toBe(4);
    expect(hypotheses[0]).toEqual({
      tokens: [1, 1, 1, 1],
      score: expect.closeTo(Math.log(0.8), 12),
      sumLogprob: expect.closeTo(4 * Math.log(0.8), 12),
    });
  });

  it('keeps beams idle that nothing is allowed for', () => {
    const beams = new BeamSearch({ ...OPTIONS, numBeams: 3, numReturn: 3 });
    const forced = [{ token: 7, score: 0 }];
    expect(beams.advance([forced, forced, forced])).toEqual({
      kind: 'continue',
      choices: [0, 1, 2].map(() => ({ parent: 0, token: 7 })),
    });
    // All three know the same now; what the idle ones say must not count twice.
    const next = probabilities({ 1: 0.5, 2: 0.3, 3: 0.1, 4: 0.1 });
    expect(beams.advance([next, next, next])).toEqual({
      kind: 'continue',
      choices: [1, 2, 3].map((token) => ({ parent: 0, token })),
    });
  });

  it('ends with what it has where no token is allowed', () => {
    const nothing = [{ token: 1, score: FORBIDDEN_SCORE }];
    const stuck = search({}, (tokens) =>
      tokens.length < 2 ? probabilities({ 1: 0.5, 2: 0.5 }) : nothing,
    );
    expect(stuck.hypotheses.map(({ tokens }) => tokens.length)).toEqual([2, 2]);
    expect(search({}, () => nothing).hypotheses).toEqual([]);
  });

  it('keeps more candidates where more ids end a sequence', () => {
    expect(candidatesPerBeam(4, 0)).toBe(8);
    expect(candidatesPerBeam(4, 1)).toBe(8);
    expect(candidatesPerBeam(4, 3)).toBe(16);
  });
});

describe('BeamSearch with as many beams as there are sequences', () => {
  const VOCAB = 3;

  /** Log-probabilities that depend on all tokens before, as a table by prefix. */
  const tables = fc
    .array(fc.double({ min: -6, max: 0, noNaN: true }), { minLength: 200, maxLength: 200 })
    .map((logits) => (tokens: readonly number[]): readonly BeamCandidate[] => {
      const prefix = tokens.reduce((hash, token) => hash * (VOCAB + 1) + token + 1, 1);
      const row = Array.from({ length: VOCAB }, (_, i) => logits[(prefix * VOCAB + i) % 200] ?? 0);
      const logSum = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
      return row
        .map((logit, token) => ({ token, score: logit - logSum }))
        .sort((a, b) => b.score - a.score);
    });

  function everySequence(
    candidates: (tokens: readonly number[]) => readonly BeamCandidate[],
    { lengthPenalty, maxNewTokens }: { lengthPenalty: number; maxNewTokens: number },
    tokens: readonly number[] = [],
    sumLogprob = 0,
  ): readonly Hypothesis[] {
    if (tokens.length === maxNewTokens || tokens.at(-1) === EOS) {
      return [{ tokens, sumLogprob, score: sumLogprob / tokens.length ** lengthPenalty }];
    }
    return candidates(tokens).flatMap(({ token, score }) =>
      everySequence(
        candidates,
        { lengthPenalty, maxNewTokens },
        [...tokens, token],
        sumLogprob + score,
      ),
    );
  }

  it('finds the best of all', () => {
    fc.assert(
      fc.property(
        tables,
        fc.constantFrom(0, 0.6, 1, 2, -1),
        fc.constantFrom(false, 'never' as const),
        fc.integer({ min: 1, max: 4 }),
        (candidates, lengthPenalty, earlyStopping, maxNewTokens) => {
          const { hypotheses } = search(
            { numBeams: 81, numReturn: 5, lengthPenalty, earlyStopping, maxNewTokens },
            candidates,
          );
          const all = everySequence(candidates, { lengthPenalty, maxNewTokens });
          const best = all.toSorted((a, b) => b.score - a.score).slice(0, 5);
          expect(hypotheses.map(({ score }) => score)).toEqual(
            best.map(({ score }) => expect.closeTo(score, 9) as unknown),
          );
        },
      ),
      { numRuns: 50 },
    );
  });
});

/** Recorded with Transformers; test/fixtures/beam_search/make.py says how. */
interface Case {
  readonly model: string;
  readonly input: readonly number[];
  readonly options: Readonly<Record<string, unknown>> & {
    readonly num_beams: number;
    readonly num_return_sequences: number;
    readonly length_penalty: number;
    readonly early_stopping: boolean | 'never';
    readonly max_new_tokens: number;
    readonly eos_token_id?: readonly number[];
  };
  readonly sequences: readonly (readonly number[])[];
  readonly scores: readonly number[];
}

interface Recorded {
  readonly model: string;
  readonly input: readonly number[];
  readonly rows: Readonly<Record<string, string>>;
}

describe('BeamSearch and token rules find what Transformers finds', () => {
  const read = (name: string): unknown =>
    JSON.parse(readFileSync(`test/fixtures/beam_search/${name}`, 'utf8'));
  const { cases } = read('cases.json') as { readonly cases: readonly Case[] };
  const recorded = read('log_probabilities.json') as readonly Recorded[];
  const sameInput = (a: Case, b: Recorded): boolean =>
    a.model === b.model && a.input.join() === b.input.join();

  for (const record of recorded) {
    const mine = cases.filter((each) => sameInput(each, record));
    it(`in ${mine.length} cases of ${record.model}`, () => {
      expect(mine.length).toBeGreaterThan(5);
      for (const each of mine) check(each, record);
    });
  }

  function check({ model, input, options, sequences, scores }: Case, { rows }: Recorded): void {
    const config = read(`${model}/config.json`) as {
      readonly eos_token_id: number;
      readonly decoder_start_token_id: number;
      readonly vocab_size: number;
    };
    const start = config.decoder_start_token_id;
    const eosIds = new Set(options.eos_token_id ?? [config.eos_token_id]);
    const rules = tokenRules(
      readTokenRules(new OptionReader(options, wrongIn('options')), config.vocab_size),
      {
        numPrompt: 1,
        maxLength: 1 + options.max_new_tokens,
        eosIds,
        encoderInput: input,
      },
    );
    const { hypotheses } = search(
      {
        numBeams: options.num_beams,
        numReturn: options.num_return_sequences,
        lengthPenalty: options.length_penalty,
        earlyStopping: options.early_stopping,
        maxNewTokens: options.max_new_tokens,
        eosIds,
      },
      (tokens) =>
        bestCandidates(
          decode(rows[[start, ...tokens].join()]),
          rules([start, ...tokens]),
          candidatesPerBeam(options.num_beams, eosIds.size),
        ),
    );
    const about = JSON.stringify(options);
    expect(
      hypotheses.map(({ tokens }) => [start, ...tokens]),
      about,
    ).toEqual(sequences);
    hypotheses.forEach(({ score }, i) => expect(score, about).toBeCloseTo(scores[i] ?? NaN, 5));
  }

  function decode(row: string | undefined): Float32Array {
    if (row === undefined) throw new Error('a sequence ran that did not in the reference');
    return new Float32Array(new Uint8Array(Buffer.from(row, 'base64')).buffer);
  }

  function bestCandidates(
    row: Float32Array,
    { forced, factors }: TokenRules,
    count: number,
  ): readonly BeamCandidate[] {
    if (forced !== undefined) return [{ token: forced, score: 0 }];
    return [...row]
      .map((logprob, token) => {
        const factor = factors.get(token) ?? 1;
        return { token, score: factor >= FORBIDDEN ? FORBIDDEN_SCORE : factor * logprob };
      })
      .sort((a, b) => b.score - a.score)
      .slice(0, count);
  }
});
