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
 * @module
 */

import type { BlockKey } from './block_hash.ts';

/** Why a request ended: a stop rule, a length limit, its caller, or a lost device. */
export type FinishReason = 'stop' | 'length' | 'abort' | 'error';

/** What a caller asks the scheduler to run. */
export interface RequestOptions {
  /** Token ids, at least one. */
  readonly prompt: readonly number[];
  /** Most tokens to generate, at least 1; absent: until the context is full. */
  readonly maxTokens?: number | undefined;
  /** Ids that end the request once generated; such an id is the last of its tokens. */
  readonly stopIds?: Iterable<number> | undefined;
  /** Requests of different salts (an integer, default 0) share no blocks, even where their tokens agree. */
  readonly cacheSalt?: number | undefined;
  /** Blocks with a position at or after this one are neither shared nor looked up; absent: no limit. */
  readonly cacheLimit?: number | undefined;
}

/** State of one request. Written by the scheduler and the KV cache manager only. */
export class Request {
  /** Order of arrival, unique in its scheduler. */
  readonly id: number;
  /** Prompt, then the generated tokens read back so far. Only ever appended to. */
  readonly tokens: number[];
  readonly numPrompt: number;
  /** Length of `tokens` at which the request ends with `'length'`. */
  readonly maxLength: number;
  readonly stopIds: ReadonlySet<number>;
  readonly cacheSalt: number;
  readonly cacheLimit: number;

  status: 'waiting' | 'running' | 'finished' = 'waiting';
  /** Set exactly when `status` is `'finished'`. */
  finishReason: FinishReason | undefined;
  /** Row of this request in per-sequence GPU state while it runs, else -1. */
  slot = -1;
  /** Positions `0 … numComputed-1` have keys and values. */
  numComputed = 0;
  /** Samples scheduled but not read back. */
  numInFlight = 0;
  /** Prompt tokens that the prefix cache spared at first admission. */
  numCachedTokens = 0;
  /** Times this request lost its blocks, to an older one or with the device. */
  numPreemptions = 0;

  /** Held blocks, one for each logical block `firstBlock … firstBlock + blocks.length - 1`. */
  readonly blocks: number[] = [];
  /** First logical block not yet behind the sliding window; 0 without a window. */
  firstBlock = 0;
  /** Keys of the first full blocks, as far as computed. */
  keys: BlockKey[] = [];
  /** Logical blocks `0 … numPublished-1` were offered to the prefix cache. */
  numPublished = 0;

  constructor(id: number, options: RequestOptions, maxLength: number) {
    this.id = id;
    this.tokens = [...options.prompt];
    this.numPrompt = options.prompt.length;
    this.maxLength = maxLength;
    this.stopIds = new Set(options.stopIds);
    this.cacheSalt = options.cacheSalt ?? 0;
    this.cacheLimit = options.cacheLimit ?? Infinity;
  }

  /** Tokens that exist on the GPU: known ones and those in flight. */
  get length(): number {
    return this.tokens.length + this.numInFlight;
  }

  /** Tokens that wait to be computed: 1 for a decode, more for a prefill, 0 when the last sample is under way. */
  get numPending(): number {
    return this.length < this.maxLength ? this.length - this.numComputed : 0;
  }
}
