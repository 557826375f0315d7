/**
 * What the scheduler tells the GPU side to compute, and what it makes of the answer. Integers only.
 *
 * @module
 */

import type { BeamGroup, FinishReason, Request } from './request.ts';

/** The part of one request in a step: `count` tokens at positions `start … start + count - 1`. */
export interface StepEntry {
  readonly request: Request;
  /** Row of per-sequence GPU state, `0 … maxSequences-1`. */
  readonly slot: number;
  /** The request got its slot with this entry: whatever the GPU keeps per slot starts anew from `request.tokens`. */
  readonly isFirst: boolean;
  readonly start: number;
  readonly count: number;
  /**
   * The last tokens of the entry where they are guesses that it verifies, behind the one token that is known; -1 where
   * only the GPU knows the guess. It samples after that token and after each draft.
   */
  readonly drafts: readonly number[];
  /** `start + count`: positions with keys and values once the step has run. */
  readonly kvLength: number;
  /** The entry holds the last token there is, and samples the one at position `kvLength`. */
  readonly samples: boolean;
  /** The one input token is not in `request.tokens` yet: it is the last sample of `slot`. */
  readonly inputFromGpu: boolean;
}

/** Ids that an entry samples. */
export function countSamples({ samples, drafts }: StepEntry): number {
  return samples ? 1 + drafts.length : 0;
}

/** A block copied to another, keys and values of every layer. */
export interface BlockCopy {
  readonly from: number;
  readonly to: number;
}

/** What one submission computes: the encoder, then the copies, then the entries. */
export interface ScheduledStep {
  /** Counts up from 0. */
  readonly id: number;
  /** Whose encoder input is run, and its keys and values stored in `crossBlocks`; one beam for all of its group. */
  readonly encodes: readonly Request[];
  /** No block is copied to twice, and none is both copied from and to. */
  readonly copies: readonly BlockCopy[];
  /** Entries of one token, or of one and its drafts, first. */
  readonly entries: readonly StepEntry[];
  /** Tokens of those entries: each is computed like a sequence of one token. */
  readonly numSingles: number;
  /** Sum of the counts. */
  readonly numTokens: number;
}

/** A token that was read back, and whether the request ended with it. */
export interface TokenEvent {
  readonly request: Request;
  /** Which sample of the request's entry it is; 0 but for those after drafts. */
  readonly sample: number;
  /** Generated token; the stop id itself where one ended the request. */
  readonly token: number;
  readonly finishReason: FinishReason | undefined;
}

/** What a completed step brought. */
export interface StepOutcome {
  /** One for each token of a request that had not ended before, in order; none of beams. */
  readonly events: readonly TokenEvent[];
  /** Groups whose samples of a round are all back: each waits for `advance` or `finishGroup`. */
  readonly rounds: readonly BeamGroup[];
}

/** How a beam goes on: as the sequence of the beam `parent` before this round, and `token`. */
export interface BeamChoice {
  /** Index in `BeamGroup.requests`. */
  readonly parent: number;
  readonly token: number;
}
