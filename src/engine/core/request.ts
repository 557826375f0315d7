/**
 * One sequence on its way through the engine, as integers.
 *
 * ```text
 *   tokens        p p p p p p p p g g g g │ ? ?          p prompt, g generated, ? sampled but not read back
 *                 0             numPrompt │ tokens.length
 *   length        ────────────────────────┴────>│        tokens.length + numInFlight
 *   numComputed   ─────────────────────────────>         length - 1 in steady decode
 * ```
 *
 * `numComputed` counts the positions whose keys and values a *submitted* step writes; every later step may
 * read them, because the GPU runs submissions in order.
 *
 * A step may also hold _drafts_: guesses of the next tokens after the last one, which it verifies by sampling after each
 * (core/speculation.ts). Until its result is back `numComputed` counts them too; then those that were wrong are taken back.
 *
 * The beams of a {@link BeamGroup} are requests too. What they sample is not appended: when the samples of all are
 * back, a round is over, and somebody else decides which beams go on with which tokens.
 *
 * @module
 */

import { chainKey } from './block_hash.ts';
import type { BlockKey } from './block_hash.ts';

/** Why a request ended: a stop rule, a length limit, its caller, or a lost device. */
export type FinishReason = 'stop' | 'length' | 'abort' | 'error';

/** What a caller asks the scheduler to run. */
export interface RequestOptions {
  /** Token ids, at least one. */
  readonly prompt: readonly number[];
  /** Token ids for the encoder, at least one: exactly where the scheduler serves an encoder-decoder. */
  readonly encoderInput?: readonly number[] | undefined;
  /** Most tokens to generate, at least 1; absent: until the context is full. */
  readonly maxTokens?: number | undefined;
  /** Ids that end the request once generated; such an id is the last of its tokens. */
  readonly stopIds?: Iterable<number> | undefined;
  /** Requests of different salts (an integer, default 0) share no blocks, even where their tokens agree. */
  readonly cacheSalt?: number | undefined;
  /** Blocks with a position at or after this one are neither shared nor looked up; absent: no limit. */
  readonly cacheLimit?: number | undefined;
  /** Nothing is computed while a sample is in flight: the caller looks at each token before the next is sampled. */
  readonly isReactive?: boolean | undefined;
  /** Its tokens may be drafted and verified, where the scheduler does that. */
  readonly speculates?: boolean | undefined;
}

/** What the beams of one search are asked to do; what ends them is decided between rounds. */
export type BeamOptions = Omit<RequestOptions, 'stopIds' | 'isReactive' | 'speculates'>;

/** Sequences of one beam search: equal at first, admitted, preempted and ended together. */
export class BeamGroup {
  /** The beams, in the order that {@link Scheduler.advance} counts them. */
  readonly requests: readonly Request[];

  /** @param firstId - the beams take as many ids from here as there are */
  constructor(firstId: number, options: BeamOptions, maxLength: number, numBeams: number) {
    this.requests = Array.from(
      { length: numBeams },
      (_, i) => new Request(firstId + i, options, maxLength, this),
    );
  }

  /** All samples of the round are back, and how the beams go on is not decided. */
  get isUndecided(): boolean {
    return this.requests.every((request) => request.hasSampled);
  }
}

/** State of one request. Written by the scheduler and the KV cache manager only. */
export class Request {
  /** Order of arrival, unique in its scheduler. */
  readonly id: number;
  /** The beam search it belongs to. */
  readonly group: BeamGroup | undefined;
  /** Prompt, then the generated tokens read back so far. Only appended to, but for a beam that goes on from another. */
  tokens: number[];
  readonly numPrompt: number;
  /** Length of `tokens` at which the request ends with `'length'`. */
  readonly maxLength: number;
  readonly stopIds: ReadonlySet<number>;
  readonly cacheSalt: number;
  readonly cacheLimit: number;
  /** Token ids whose encoder output it attends to. */
  readonly encoderInput: readonly number[] | undefined;
  /** Start of the chain of its block keys: what all its keys and values depend on beside its tokens. */
  readonly rootKey: BlockKey | undefined;
  /** Nothing of it is scheduled while a sample is in flight. */
  readonly isReactive: boolean;
  /** Its tokens may be drafted. */
  readonly speculates: boolean;

  status: 'waiting' | 'running' | 'finished' = 'waiting';
  /** Set exactly when `status` is `'finished'`. */
  finishReason: FinishReason | undefined;
  /** Row of this request in per-sequence GPU state while it runs, else -1. */
  slot = -1;
  /** It has a slot, but no entry of a step has used it yet. */
  isFresh = false;
  /** Positions `0 … numComputed-1` have keys and values. */
  numComputed = 0;
  /** Samples scheduled but not read back; those of a token and the drafts after it count as one. */
  numInFlight = 0;
  /** Nothing of it is scheduled while a sample is in flight, because the next tokens are drafted from that. */
  isHeld = false;
  /** Tokens that were drafted and verified, and those of them that were right. */
  numDrafted = 0;
  numAccepted = 0;
  /** Of a beam: its sample of this round is back. */
  hasSampled = false;
  /** Prompt tokens that the prefix cache spared at first admission. */
  numCachedTokens = 0;
  /** Times this request lost its blocks, to an older one or with the device. */
  numPreemptions = 0;

  /** Held blocks, one for each logical block `firstBlock … firstBlock + blocks.length - 1`. */
  readonly blocks: number[] = [];
  /** Held blocks with the keys and values of the encoder's output; the beams of a group hold the same. */
  readonly crossBlocks: number[] = [];
  /** First logical block not yet behind the sliding window; 0 without a window. */
  firstBlock = 0;
  /** Keys of the first full blocks, as far as computed. */
  keys: BlockKey[] = [];
  /** Logical blocks `0 … numPublished-1` were offered to the prefix cache. */
  numPublished = 0;

  constructor(id: number, options: RequestOptions, maxLength: number, group?: BeamGroup) {
    const { encoderInput, isReactive = false, speculates = false } = options;
    this.id = id;
    this.group = group;
    this.tokens = [...options.prompt];
    this.numPrompt = options.prompt.length;
    this.maxLength = maxLength;
    this.stopIds = new Set(options.stopIds);
    this.cacheSalt = options.cacheSalt ?? 0;
    this.cacheLimit = options.cacheLimit ?? Infinity;
    this.encoderInput = encoderInput && [...encoderInput];
    this.rootKey = this.encoderInput && chainKey(undefined, this.encoderInput, this.cacheSalt);
    this.isReactive = isReactive || group !== undefined;
    this.speculates = speculates;
  }

  /** Tokens that exist on the GPU: known ones and those in flight. */
  get length(): number {
    return this.tokens.length + this.numInFlight;
  }

  /**
   * Tokens that wait to be computed: 1 for a decode, more for a prefill, 0 when the last sample is under way or the
   * next token depends on one that is.
   */
  get numPending(): number {
    if ((this.isReactive || this.isHeld) && this.numInFlight > 0) {
      return 0;
    }
    return this.length < this.maxLength ? this.length - this.numComputed : 0;
  }
}
