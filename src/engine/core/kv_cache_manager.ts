/**
 * Gives requests their blocks: prefix hits, growth, sliding window, publication, block table rows.
 *
 * ```text
 *   position         0         P        2P        3P        4P
 *   logical block    │    0    │    1    │    2    │    3    │      P = pageSize
 *   request.blocks   │   17    │    4    │   21    │    9    │      ids of the pool, here firstBlock = 0
 *                    └─ shared prefix ──┘└ published ┘└ still filling
 *
 *   sliding window W: a token at p attends to p-W+1 … p. Blocks wholly before the window of the next token go back
 *   to the pool, and logical block b stands in entry b % tableWidth of the GPU's table row, a ring:
 *
 *   released         released   firstBlock = 2
 *   │    0    │    1    │    2    │    3    │    4    │   →   row = [ 3 │ 4 │ 2 ]     tableWidth 3
 *
 *   beams that go on from one parent share its blocks. The last, half full, is copied when a beam is about to write
 *   it while others hold it too; the last holder writes in place:
 *
 *   beam 0   │   17    │   4    │        beam 0   │   17    │   4    │        4: t8 t9 a
 *   beam 1   │   17    │   4    │   →    beam 1   │   17    │   9    │        9: t8 t9 b      copy 4 → 9
 * ```
 *
 * Invariants, for every request:
 * - `blocks` covers `firstBlock * P … numComputed - 1`, and at most one step's tokens after that;
 * - `firstBlock` is the block of the first position that the next token attends to, or an earlier one;
 * - `blocks.length ≤ tableWidth`, so no two live blocks share an entry of the ring;
 * - published blocks are full, known, and never written again;
 * - a block is written only while it has one holder.
 *
 * After `KVCacheManager` of vLLM v1 (`vllm/v1/core/kv_cache_manager.py`); the right-to-left search for a run that
 * fills the window is that of its `SlidingWindowManager`.
 *
 * @module
 */

import { divCeil } from '../../util/arith.ts';
import { chainKey } from './block_hash.ts';
import type { BlockKey } from './block_hash.ts';
import { BlockPool } from './block_pool.ts';
import type { CachedBlock } from './block_pool.ts';
import type { Request } from './request.ts';
import type { BlockCopy } from './scheduled_step.ts';

/** Size of the KV cache, in tokens and blocks. */
export interface KvCacheLayout {
  readonly numBlocks: number;
  /** Tokens in a block. */
  readonly pageSize: number;
  /** Most positions of a sequence. */
  readonly contextLength: number;
  /** Positions a token attends to, itself included; `undefined`: all. */
  readonly window?: number | undefined;
  /** Most tokens of one request in one step. */
  readonly maxChunk: number;
}

/** The one owner of the block pool. */
export class KvCacheManager {
  /** Positions a request may use when it is alone: the context, or less where the pool is smaller. */
  readonly capacity: number;
  /** Entries in the GPU's block table row of a request. */
  readonly tableWidth: number;
  readonly #pool: BlockPool;
  readonly #pageSize: number;
  readonly #contextLength: number;
  readonly #window: number;

  constructor(layout: KvCacheLayout) {
    const { numBlocks, pageSize, contextLength, window = Infinity, maxChunk } = layout;
    this.#pool = new BlockPool(numBlocks);
    this.#pageSize = pageSize;
    this.#contextLength = contextLength;
    this.#window = window;
    this.tableWidth = Math.min(
      this.blocksOf(contextLength),
      this.#maxTouched(window - 1 + maxChunk),
    );
    this.capacity = this.capacityBeside(0);
  }

  /** Blocks that nobody holds. */
  get numFree(): number {
    return this.#pool.numFree;
  }

  /** Blocks that a later request can find by content. */
  get numCached(): number {
    return this.#pool.numCached;
  }

  /** Positions a lone request may use beside `others` blocks that are held for something else. */
  capacityBeside(others: number): number {
    const numBlocks = Math.max(0, this.#pool.numBlocks - others);
    return this.#maxTouched(this.#window) <= numBlocks
      ? this.#contextLength
      : Math.min(this.#contextLength, numBlocks * this.#pageSize);
  }

  /** Blocks that the first `positions` positions of a sequence fill. */
  blocksOf(positions: number): number {
    return divCeil(positions, this.#pageSize);
  }

  /**
   * Gives a request that computed nothing the longest prefix found in the cache, and sets its `numComputed`. At least
   * one token is left to compute, so that there are logits to sample from. A request that has a prefix gets a new one.
   *
   * With a window, a hit of n blocks needs only the blocks that the token after them attends to.
   */
  acquirePrefix(request: Request): void {
    this.#releaseOwn(request);
    const cached = this.#findBlocks(request);
    const needed = Math.max(1, divCeil(this.#window - 1, this.#pageSize));
    let run = 0;
    for (let first = cached.length - 1; first >= 0; first--) {
      run = cached[first] === undefined ? 0 : run + 1;
      if (run > 0 && (run === needed || first === 0)) {
        for (const hit of cached.slice(first, first + run)) {
          if (hit !== undefined) {
            this.#pool.retain(hit.block);
            request.blocks.push(hit.block);
          }
        }
        request.firstBlock = first;
        request.numPublished = first + run;
        request.numComputed = request.numPublished * this.#pageSize;
        return;
      }
    }
  }

  /** Gives requests with one encoder input the blocks for its output, the same ones to all. */
  acquireCross(requests: readonly Request[]): void {
    const [first, ...others] = requests;
    if (first?.encoderInput === undefined) {
      return;
    }
    const end = this.blocksOf(first.encoderInput.length);
    while (first.crossBlocks.length < end) {
      first.crossBlocks.push(this.#allocate());
    }
    for (const request of others) {
      this.#share(first.crossBlocks, request.crossBlocks);
    }
  }

  /**
   * Makes room for the next tokens of a request, as many of `wanted` as free blocks allow.
   *
   * @param copies - gets the copy that must be made first, if they begin in a block that is shared
   * @returns the tokens there is room for; 0 when the pool is exhausted.
   */
  extend(request: Request, wanted: number, copies: BlockCopy[]): number {
    this.#leaveWindow(request);
    const isShared = this.#writesShared(request);
    const numFree = this.#pool.numFree - Number(isShared);
    if (numFree < 0) {
      return 0;
    }
    if (isShared) {
      this.#copyLast(request, copies);
    }
    const held =
      (request.firstBlock + request.blocks.length) * this.#pageSize - request.numComputed;
    const count = Math.min(wanted, held + numFree * this.#pageSize);
    for (let room = held; room < count; room += this.#pageSize) {
      request.blocks.push(this.#allocate());
    }
    return count;
  }

  /**
   * Takes back the last positions of a request, which held wrong drafts: as if it had computed only `numComputed`. Nothing
   * of them has been published, because they were never known.
   */
  rollBack(request: Request, numComputed: number): void {
    request.numComputed = numComputed;
    const end = this.blocksOf(numComputed) - request.firstBlock;
    for (const block of request.blocks.splice(end).toReversed()) {
      this.#pool.release(block);
    }
  }

  /** Blocks that a request still has to allocate to compute all its tokens, at most. */
  demand(request: Request): number {
    const live = this.blocksOf(request.length) - request.firstBlock;
    const missing = Math.max(0, Math.min(live, this.tableWidth) - request.blocks.length);
    return missing + Number(this.#writesShared(request));
  }

  /** Lets each of `requests` go on from what the one at the same place of `parents` has computed until now. */
  fork(requests: readonly Request[], parents: readonly Request[]): void {
    const origins = parents.map(({ blocks, keys, numComputed, numPublished }) => {
      // Held before any parent lets go of them.
      const held: number[] = [];
      this.#share(blocks, held);
      return { held, keys, numComputed, numPublished };
    });
    for (const [i, { held, keys, numComputed, numPublished }] of origins.entries()) {
      const request = requests[i];
      if (request !== undefined) {
        this.#drop(request.blocks);
        request.blocks.push(...held);
        request.keys = [...keys];
        request.numComputed = numComputed;
        request.numPublished = numPublished;
      }
    }
  }

  /** Offers the blocks of a request that became full, known and computed to the prefix cache. */
  publish(request: Request): void {
    const known = Math.min(request.numComputed, request.tokens.length, request.cacheLimit);
    const end = Math.floor(known / this.#pageSize);
    for (; request.numPublished < end; request.numPublished++) {
      const index = request.numPublished;
      const key = request.keys[index] ?? this.#key(request, index);
      request.keys[index] = key;
      // A narrow window can pass a block before its last token is read back: it is gone, its key stays in the chain.
      const block = request.blocks[index - request.firstBlock];
      if (block !== undefined) {
        this.#pool.publish(block, key);
      }
    }
  }

  /** Takes all blocks of a request, which forgets that it computed anything. What was published stays findable. */
  release(request: Request): void {
    this.#releaseOwn(request);
    this.#drop(request.crossBlocks);
  }

  #releaseOwn(request: Request): void {
    this.#drop(request.blocks);
    request.firstBlock = 0;
    request.numPublished = 0;
    request.numComputed = 0;
  }

  /** Frees all blocks and forgets all content. The caller drops the requests that held any. */
  clear(): void {
    this.#pool.clear();
  }

  /**
   * Writes the block table row of a request, `[tableWidth]`: logical block b in entry `b % tableWidth`. Entries
   * without a block are 0, a valid id that nothing may be read through.
   */
  fillTableRow(request: Request, row: Int32Array | Uint32Array): void {
    row.fill(0);
    for (const [i, block] of request.blocks.entries()) {
      row[(request.firstBlock + i) % this.tableWidth] = block;
    }
  }

  /** Writes the block table row of a request's encoder output, from its first block on; 0 where there is none. */
  fillCrossTableRow(request: Request, row: Int32Array | Uint32Array): void {
    row.fill(0);
    row.set(request.crossBlocks);
  }

  /** Whether the next token of a request goes into a block that others hold too. */
  #writesShared(request: Request): boolean {
    const last = request.blocks.at(-1);
    const isPartial = request.numComputed % this.#pageSize !== 0;
    return last !== undefined && isPartial && this.#pool.references(last) > 1;
  }

  #copyLast(request: Request, copies: BlockCopy[]): void {
    const to = this.#allocate();
    const from = request.blocks.pop();
    if (from !== undefined) {
      this.#pool.release(from);
      copies.push({ from, to });
    }
    request.blocks.push(to);
  }

  #allocate(): number {
    const block = this.#pool.allocate();
    if (block === undefined) {
      throw new Error(`kv cache: the pool counts ${this.#pool.numFree} free blocks, but has none`);
    }
    return block;
  }

  /** Adds a holder to blocks. */
  #share(blocks: readonly number[], holder: number[]): void {
    for (const block of blocks) {
      this.#pool.retain(block);
      holder.push(block);
    }
  }

  /** Empties a list of held blocks, from its end. */
  #drop(blocks: number[]): void {
    for (const block of blocks.toReversed()) {
      this.#pool.release(block);
    }
    blocks.length = 0;
  }

  /** Most blocks that consecutive positions, wherever they start, lie in. */
  #maxTouched(positions: number): number {
    return divCeil(positions - 1, this.#pageSize) + 1;
  }

  /** What the cache has for each full block of a request but its last token; also renews `request.keys`. */
  #findBlocks(request: Request): readonly (CachedBlock | undefined)[] {
    const end = Math.min(request.tokens.length - 1, request.cacheLimit);
    const numBlocks = Math.max(0, Math.floor(end / this.#pageSize));
    const found: (CachedBlock | undefined)[] = [];
    request.keys = [];
    for (let index = 0; index < numBlocks; index++) {
      const key = this.#key(request, index);
      const cached = this.#pool.find(key);
      found.push(cached);
      // Continuing the chain of the cached block itself makes the next comparison end at the first link.
      request.keys.push(cached?.key ?? key);
    }
    return found;
  }

  /** Key of a full block, from that of the block before. */
  #key(request: Request, index: number): BlockKey {
    const parent = index === 0 ? request.rootKey : request.keys[index - 1];
    const start = index * this.#pageSize;
    return chainKey(parent, request.tokens.slice(start, start + this.#pageSize), request.cacheSalt);
  }

  /** Releases the blocks that neither the next token nor any later one attends to. */
  #leaveWindow(request: Request): void {
    const oldest = Math.max(0, request.numComputed - this.#window + 1);
    const numLeft = Math.floor(oldest / this.#pageSize) - request.firstBlock;
    if (numLeft > 0) {
      request.firstBlock += numLeft;
      for (const block of request.blocks.splice(0, numLeft)) {
        this.#pool.release(block);
      }
    }
  }
}
