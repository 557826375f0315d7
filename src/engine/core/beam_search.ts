/**
 * Beam search: of all continuations of a few running sequences, keep the few most probable, until enough have ended.
 *
 * ```text
 *   beam 0 ─┬─ a   best first by the sum of log-probabilities, over all beams:
 *           └─ b     rank  0   1   2   3 │ 4   5   6   7        numBeams = 4, one EOS
 *   beam 1 ─┬─ c           b   E   c   a │ E   d   f   g
 *           └─ EOS             │         │
 *                              ▼         └ stand-ins: they may go on, an EOS among them is lost
 *                     finished, scored sum / length ^ lengthPenalty
 *   next beams: b c a d
 * ```
 *
 * The rules are those of Transformers' `generate` (generation/utils.py, `_beam_search`), which go back to Wu et al.
 * 2016, arXiv:1609.08144, and Meister et al. 2020, arXiv:2007.03909 (section 5).
 *
 * @module
 */

import type { BeamChoice } from './scheduled_step.ts';

/** How to search. */
export interface BeamSearchOptions {
  /** Sequences that run at the same time, at least 1. */
  readonly numBeams: number;
  /** Sequences to return, at most `numBeams`. */
  readonly numReturn: number;
  /** Power of the length that a sum of log-probabilities is divided by; above 0 favors long sequences. */
  readonly lengthPenalty: number;
  /**
   * When `numBeams` sequences have finished: true ends the search; false goes on while the best running one, at its
   * present length, scores better than the worst finished one; 'never' while it could at any length.
   */
  readonly earlyStopping: boolean | 'never';
  /** Ids that end a sequence. */
  readonly eosIds: ReadonlySet<number>;
  /** Tokens after the prompt at which every sequence ends, at least 1. */
  readonly maxNewTokens: number;
}

/** A token that a beam may go on with. */
export interface BeamCandidate {
  readonly token: number;
  /** Log-probability after the rules; `FORBIDDEN_SCORE` or less forbids the token. */
  readonly score: number;
}

/** A sequence that the search found. */
export interface Hypothesis {
  /** What was generated, up to and with the EOS if it ended with one. */
  readonly tokens: readonly number[];
  /** `sumLogprob / tokens.length ** lengthPenalty` */
  readonly score: number;
  readonly sumLogprob: number;
}

/** What follows from one round of candidates. */
export type BeamRound =
  /** One choice for each beam. */
  | { readonly kind: 'continue'; readonly choices: readonly BeamChoice[] }
  /** At most `numReturn`, best first; fewer where so few sequences are allowed. */
  | { readonly kind: 'finished'; readonly hypotheses: readonly Hypothesis[] };

/** Scores down to here are of tokens that no rule allows. */
export const FORBIDDEN_SCORE = -3e38;

/** Candidates that each beam must offer: enough to go on where the best `numBeams` of all end. */
export function candidatesPerBeam(numBeams: number, numEosIds: number): number {
  return Math.max(2, 1 + numEosIds) * numBeams;
}

interface Beam {
  readonly tokens: readonly number[];
  readonly sumLogprob: number;
}

interface Continuation extends BeamChoice {
  readonly sumLogprob: number;
}

/** State of one search. Needs `numBeams` sequences with the same prompt, whose candidates it is given round by round. */
export class BeamSearch {
  readonly #options: BeamSearchOptions;
  /**
   * Running sequences, best first. Where there are fewer than `numBeams`, the beams past them are idle: copies of
   * the first, whose candidates are ignored.
   */
  #running: readonly Beam[] = [{ tokens: [], sumLogprob: 0 }];
  /** At most `numBeams`, best first. */
  #finished: readonly Hypothesis[] = [];

  constructor(options: BeamSearchOptions) {
    this.#options = options;
  }

  /**
   * Goes on by one token.
   *
   * @param candidates - for each beam its `candidatesPerBeam` best tokens, or all that are allowed, best first
   */
  advance(candidates: readonly (readonly BeamCandidate[])[]): BeamRound {
    const { numBeams, numReturn, eosIds, maxNewTokens } = this.#options;
    const best = this.#bestContinuations(candidates);
    const isLast = this.#length + 1 >= maxNewTokens;
    const ends = ({ token }: Continuation): boolean => isLast || eosIds.has(token);

    const ended = best.slice(0, numBeams).filter(ends);
    const open = best.filter((continuation) => !ends(continuation)).slice(0, numBeams);
    // With no way to go on and nothing finished, what there is has to do.
    const isStuck = best.length === 0 && this.#finished.length === 0 && this.#length > 0;
    this.#finish(isStuck ? this.#running : ended.map((continuation) => this.#extend(continuation)));
    const [first] = open;
    if (first === undefined || this.#isDone(first.sumLogprob)) {
      return { kind: 'finished', hypotheses: this.#finished.slice(0, numReturn) };
    }
    this.#running = open.map((continuation) => this.#extend(continuation));
    const choices = Array.from({ length: numBeams }, (_, beam) => {
      const { parent, token } = open[beam] ?? first;
      return { parent, token };
    });
    return { kind: 'continue', choices };
  }

  /** Tokens generated so far; the same for every running sequence. */
  get #length(): number {
    return this.#running[0]?.tokens.length ?? 0;
  }

  #bestContinuations(candidates: readonly (readonly BeamCandidate[])[]): readonly Continuation[] {
    const { numBeams, eosIds } = this.#options;
    return (
      this.#running
        .flatMap(({ sumLogprob }, parent) =>
          (candidates[parent] ?? [])
            .filter(({ score }) => score > FORBIDDEN_SCORE)
            .map(({ token, score }) => ({ parent, token, sumLogprob: sumLogprob + score })),
        )
        // The sort is stable: of equals, the one of the better beam is first.
        .sort((a, b) => b.sumLogprob - a.sumLogprob)
        .slice(0, candidatesPerBeam(numBeams, eosIds.size))
    );
  }

  #extend({ parent, token, sumLogprob }: Continuation): Beam {
    return { tokens: [...(this.#running[parent]?.tokens ?? []), token], sumLogprob };
  }

  #finish(beams: readonly Beam[]): void {
    const scored = beams.map(({ tokens, sumLogprob }) => ({
      tokens,
      sumLogprob,
      score: this.#score(sumLogprob, tokens.length),
    }));
    this.#finished = [...this.#finished, ...scored]
      .sort((a, b) => b.score - a.score)
      .slice(0, this.#options.numBeams);
  }

  #score(sumLogprob: number, length: number): number {
    return sumLogprob / length ** this.#options.lengthPenalty;
  }

  /** @param sumLogprob - of the best sequence that could go on, which is one token longer than the present ones */
  #isDone(sumLogprob: number): boolean {
    const { numBeams, earlyStopping, lengthPenalty, maxNewTokens } = this.#options;
    const worst = this.#finished[numBeams - 1];
    if (worst === undefined) return false;
    if (earlyStopping === true) return true;
    const isOptimistic = earlyStopping === 'never' && lengthPenalty > 0;
    return this.#score(sumLogprob, isOptimistic ? maxNewTokens : this.#length + 1) <= worst.score;
  }
}
