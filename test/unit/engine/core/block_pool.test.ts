import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chainKey } from '../../../../src/engine/core/block_hash.ts';
import { BlockPool } from '../../../../src/engine/core/block_pool.ts';

const key = (token: number): ReturnType<typeof chainKey> => chainKey(undefined, [token], 0);

describe('BlockPool', () => {
  it('hands out each block once, then says that it has none', () => {
    const pool = new BlockPool(3);
    const blocks = [pool.allocate(), pool.allocate(), pool.allocate()];
    expect(new Set(blocks)).toEqual(new Set([0, 1, 2]));
    expect(pool.numFree).toBe(0);
    expect(pool.allocate()).toBeUndefined();
  });

  it('reuses blocks without content first, then cached ones, least recently released first', () => {
    const pool = new BlockPool(4);
    const blocks = [0, 1, 2, 3].map(() => pool.allocate() ?? -1);
    for (const i of [0, 1, 2]) {
      pool.publish(blocks[i] ?? -1, key(i));
    }
    for (const i of [1, 0, 3, 2]) {
      pool.release(blocks[i] ?? -1);
    }
    expect([0, 1, 2, 3].map(() => pool.allocate())).toEqual([
      blocks[3],
      blocks[1],
      blocks[0],
      blocks[2],
    ]);
    expect(pool.numCached).toBe(0);
  });

  it('finds a released block until it is reused, and keeps it while held', () => {
    const pool = new BlockPool(2);
    const block = pool.allocate() ?? -1;
    pool.publish(block, key(5));
    pool.release(block);
    expect(pool.find(key(5))?.block).toBe(block);
    expect(pool.find(key(6))).toBeUndefined();
    pool.retain(block);
    pool.retain(block);
    expect(pool.references(block)).toBe(2);
    expect(pool.numFree).toBe(1);
    expect(pool.allocate()).not.toBe(block);
    expect(pool.allocate()).toBeUndefined();
    pool.release(block);
    expect(pool.allocate()).toBeUndefined();
    pool.release(block);
    expect(pool.allocate()).toBe(block);
    expect(pool.find(key(5))).toBeUndefined();
  });

  it('does not confuse contents whose hashes collide', () => {
    const pool = new BlockPool(2);
    const one = { hash: 1, parent: undefined, tokens: [1], salt: 0 };
    const other = { hash: 1, parent: undefined, tokens: [2], salt: 0 };
    const block = pool.allocate() ?? -1;
    pool.publish(block, one);
    pool.publish(pool.allocate() ?? -1, other);
    expect(pool.find(one)?.block).toBe(block);
    expect(pool.find(other)).toBeUndefined();
  });

  it('refuses to release a block that nobody holds', () => {
    const pool = new BlockPool(2);
    const block = pool.allocate() ?? -1;
    pool.release(block);
    expect(() => pool.release(block)).toThrow(`block ${block} was released, but nobody holds it`);
  });

  it('frees everything and forgets all content when cleared', () => {
    const pool = new BlockPool(3);
    pool.publish(pool.allocate() ?? -1, key(1));
    pool.allocate();
    pool.clear();
    expect([pool.numFree, pool.numCached, pool.find(key(1))]).toEqual([3, 0, undefined]);
    expect([pool.allocate(), pool.allocate(), pool.allocate(), pool.allocate()]).toEqual([
      0,
      1,
      2,
      undefined,
    ]);
  });

  it('agrees with a plain model under random use', () => {
    const operation = fc.record({
      kind: fc.constantFrom(
        'allocate' as const,
        'release' as const,
        'publish' as const,
        'hit' as const,
      ),
      pick: fc.nat(40),
      token: fc.nat(6),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.array(operation, { maxLength: 80 }),
        (size, operations) => {
          const model = new Model(size);
          for (const { kind, pick, token } of operations) {
            model[kind](token, pick);
            model.check();
          }
        },
      ),
    );
  });
});

/** The pool beside a list of holds and a map of contents. */
class Model {
  readonly #pool: BlockPool;
  /** Block ids, once for each hold. */
  readonly #held: number[] = [];
  readonly #blockOf = new Map<number, number>();

  constructor(size: number) {
    this.#pool = new BlockPool(size);
  }

  allocate(): void {
    const cached = new Set(this.#blockOf.values());
    const free = Array.from({ length: this.#pool.numBlocks }, (_, i) => i).filter(
      (block) => !this.#held.includes(block),
    );
    const useless = free.filter((block) => !cached.has(block));
    const block = this.#pool.allocate();
    if (block === undefined) {
      expect(free).toEqual([]);
      return;
    }
    expect(useless.length > 0 ? useless : free).toContain(block);
    this.#held.push(block);
    for (const [token, owner] of this.#blockOf) {
      if (owner === block) {
        this.#blockOf.delete(token);
      }
    }
  }

  release(_token: number, pick: number): void {
    const [block] = this.#held.splice(pick % Math.max(1, this.#held.length), 1);
    if (block !== undefined) {
      this.#pool.release(block);
    }
  }

  publish(token: number, pick: number): void {
    const block = this.#held[pick % Math.max(1, this.#held.length)];
    const isNamed = [...this.#blockOf.values()].some((owner) => owner === block);
    if (block !== undefined && !isNamed) {
      this.#pool.publish(block, key(token));
      this.#blockOf.set(token, this.#blockOf.get(token) ?? block);
    }
  }

  hit(token: number): void {
    const cached = this.#pool.find(key(token));
    expect(cached?.block).toBe(this.#blockOf.get(token));
    if (cached !== undefined) {
      this.#pool.retain(cached.block);
      this.#held.push(cached.block);
    }
  }

  check(): void {
    const pool = this.#pool;
    expect(pool.numFree).toBe(pool.numBlocks - new Set(this.#held).size);
    expect(pool.numCached).toBe(this.#blockOf.size);
    for (let block = 0; block < pool.numBlocks; block++) {
      expect(pool.references(block)).toBe(this.#held.filter((other) => other === block).length);
    }
  }
}
