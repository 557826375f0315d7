/**
 * The blocks (pages) of the KV cache: who holds them, which are free, which can be found by content.
 *
 * ```text
 *              ┌──────────── allocate ────────────┐
 *              │                                  ▼
 *   free queue: [7] ⇄ [2] ⇄ [9] ⇄ [4]           held, references ≥ 1
 *              ▲ no key     ▲ keyed, LRU first    │
 *              └─ reused    └─ still findable ◄───┘ release
 *                 first        until reused
 * ```
 *
 * Invariants:
 * - a block is in the free queue exactly when its reference count is 0;
 * - a block with a key is in the index under the hash of that key, and the index names no other block;
 * - a key is given to a block once, when its content is complete, and taken when the block is allocated again:
 *   the content of a keyed block never changes;
 * - blocks without a key stand before all keyed ones in the queue, so nothing findable is lost while there is
 *   a block that holds nothing worth keeping.
 *
 * After the block pool of vLLM v1 (`vllm/v1/core/block_pool.py`).
 *
 * @module
 */

import { equalKeys } from './block_hash.ts';
import type { BlockKey } from './block_hash.ts';

/** A block that was found by content. */
export interface CachedBlock {
  readonly block: number;
  /** The key it was published with: equal to the one asked for, possibly another object. */
  readonly key: BlockKey;
}

/** Reference counts, free queue and content index of the block ids `0 … numBlocks-1`. */
export class BlockPool {
  readonly numBlocks: number;
  readonly #references: Int32Array;
  /** Doubly linked free queue; the entry `numBlocks` is its sentinel: `next` of it is the head, `previous` the tail. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #keys: (BlockKey | undefined)[];
  readonly #index = new Map<number, CachedBlock>();
  #numFree = 0;

  constructor(numBlocks: number) {
    this.numBlocks = numBlocks;
    this.#references = new Int32Array(numBlocks);
    this.#next = new Int32Array(numBlocks + 1);
    this.#previous = new Int32Array(numBlocks + 1);
    this.#keys = Array.from({ length: numBlocks });
    this.clear();
  }

  /** Blocks that nobody holds; each can be allocated. */
  get numFree(): number {
    return this.#numFree;
  }

  /** Blocks that can be found by content, held or free. */
  get numCached(): number {
    return this.#index.size;
  }

  /** Number of holders of a block. */
  references(block: number): number {
    return this.#references[block] ?? 0;
  }

  /**
   * Takes the free block that is least worth keeping, with one reference and no key.
   *
   * @returns its id, or `undefined` when every block is held.
   */
  allocate(): number | undefined {
    const block = this.#next[this.numBlocks];
    if (block === undefined || block === this.numBlocks) {
      return undefined;
    }
    this.#unlink(block);
    this.#references[block] = 1;
    const key = this.#keys[block];
    if (key !== undefined) {
      this.#index.delete(key.hash);
      this.#keys[block] = undefined;
    }
    return block;
  }

  /** Adds a holder to a block that was found by content. */
  retain(block: number): void {
    if (this.references(block) === 0) {
      this.#unlink(block);
    }
    this.#references[block] = this.references(block) + 1;
  }

  /**
   * Ends one hold of a block. Holders release a sequence from its end, so that the tail of a chain, which is
   * useless without its head, is reused before the head.
   */
  release(block: number): void {
    const references = this.references(block);
    if (references === 0) {
      throw new Error(`block pool: block ${block} was released, but nobody holds it`);
    }
    this.#references[block] = references - 1;
    if (references === 1) {
      const sentinel = this.numBlocks;
      const isKeyed = this.#keys[block] !== undefined;
      this.#linkAfter(isKeyed ? (this.#previous[sentinel] ?? sentinel) : sentinel, block);
    }
  }

  /**
   * Makes a held block findable: all its tokens are known and computed by submitted steps. Does nothing when the
   * index already has a block under this hash: a duplicate adds nothing, and a collision is not worth a list.
   */
  publish(block: number, key: BlockKey): void {
    if (!this.#index.has(key.hash)) {
      this.#keys[block] = key;
      this.#index.set(key.hash, { block, key });
    }
  }

  /** Finds a block, held or free, with exactly this content. The caller retains it before it allocates again. */
  find(key: BlockKey): CachedBlock | undefined {
    const cached = this.#index.get(key.hash);
    return cached !== undefined && equalKeys(cached.key, key) ? cached : undefined;
  }

  /** Frees every block and forgets all content: what remains after the device and its memory are lost. */
  clear(): void {
    const sentinel = this.numBlocks;
    this.#references.fill(0);
    this.#keys.fill(undefined);
    this.#index.clear();
    this.#next[sentinel] = sentinel;
    this.#previous[sentinel] = sentinel;
    this.#numFree = 0;
    for (let block = sentinel - 1; block >= 0; block--) {
      this.#linkAfter(sentinel, block);
    }
  }

  #linkAfter(left: number, block: number): void {
    const right = this.#next[left] ?? left;
    this.#next[left] = block;
    this.#previous[block] = left;
    this.#next[block] = right;
    this.#previous[right] = block;
    this.#numFree++;
  }

  #unlink(block: number): void {
    const left = this.#previous[block] ?? block;
    const right = this.#next[block] ?? block;
    this.#next[left] = right;
    this.#previous[right] = left;
    this.#numFree--;
  }
}
