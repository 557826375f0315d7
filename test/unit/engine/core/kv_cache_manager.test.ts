import { describe, expect, it } from 'vitest';
import { KvCacheManager } from '../../../../src/engine/core/kv_cache_manager.ts';
import { Request } from '../../../../src/engine/core/request.ts';
import type { RequestOptions } from '../../../../src/engine/core/request.ts';
import type { BlockCopy } from '../../../../src/engine/core/scheduled_step.ts';

const range = (count: number, from = 0): number[] =>
  Array.from({ length: count }, (_, i) => from + i);

function request(prompt: readonly number[], options: Omit<RequestOptions, 'prompt'> = {}): Request {
  return new Request(0, { prompt, ...options }, 1000);
}

/** Computes the next `count` tokens of a request. */
function compute(kv: KvCacheManager, target: Request, count: number): number {
  const granted = kv.extend(target, count, []);
  target.numComputed += granted;
  kv.publish(target);
  return granted;
}

describe('layout', () => {
  it.each([
    { pageSize: 16, contextLength: 4096, window: undefined, maxChunk: 256, tableWidth: 256 },
    { pageSize: 16, contextLength: 100, window: undefined, maxChunk: 256, tableWidth: 7 },
    { pageSize: 16, contextLength: 4096, window: 33, maxChunk: 1, tableWidth: 3 },
    { pageSize: 16, contextLength: 4096, window: 34, maxChunk: 1, tableWidth: 4 },
    { pageSize: 1, contextLength: 4096, window: 8, maxChunk: 3, tableWidth: 10 },
    { pageSize: 5, contextLength: 12, window: 100, maxChunk: 7, tableWidth: 3 },
  ])('table width $tableWidth', ({ tableWidth, ...layout }) => {
    expect(new KvCacheManager({ numBlocks: 500, ...layout }).tableWidth).toBe(tableWidth);
  });

  it.each([
    { numBlocks: 10, window: undefined, capacity: 40 },
    { numBlocks: 30, window: undefined, capacity: 100 },
    { numBlocks: 3, window: 9, capacity: 100 },
    { numBlocks: 3, window: 10, capacity: 12 },
  ])(
    '$numBlocks blocks of 4 and window $window hold $capacity positions',
    ({ capacity, ...layout }) => {
      const kv = new KvCacheManager({ pageSize: 4, contextLength: 100, maxChunk: 8, ...layout });
      expect(kv.capacity).toBe(capacity);
      const lone = request(range(capacity));
      while (lone.numComputed < capacity) {
        expect(compute(kv, lone, Math.min(8, capacity - lone.numComputed))).toBeGreaterThan(0);
      }
    },
  );
});

describe('without a window', () => {
  it('grants what fits, then 0', () => {
    const kv = new KvCacheManager({ numBlocks: 3, pageSize: 4, contextLength: 100, maxChunk: 100 });
    const a = request(range(50));
    expect(compute(kv, a, 5)).toBe(5);
    expect(kv.numFree).toBe(1);
    expect(compute(kv, a, 30)).toBe(7);
    expect(compute(kv, a, 1)).toBe(0);
    kv.release(a);
    expect(kv.numFree).toBe(3);
    expect(a.numComputed).toBe(0);
  });

  it('shares whole blocks of a common prefix, but leaves one token to compute', () => {
    const kv = new KvCacheManager({
      numBlocks: 20,
      pageSize: 4,
      contextLength: 100,
      maxChunk: 100,
    });
    const a = request(range(12));
    compute(kv, a, 12);
    const prompts = [range(12), range(13), range(11), [...range(8), 99, 98], range(4), range(5, 1)];
    const hits = prompts.map((prompt) => {
      const b = request(prompt);
      kv.acquirePrefix(b);
      expect(b.blocks).toEqual(a.blocks.slice(0, b.blocks.length));
      kv.release(b);
      return b.blocks.length === 0 ? b.keys.length : -1;
    });
    expect(hits).toEqual([2, 3, 2, 2, 0, 1]);
    const counts = prompts.map((prompt) => {
      const b = request(prompt);
      kv.acquirePrefix(b);
      return b.numComputed;
    });
    expect(counts).toEqual([8, 12, 8, 8, 0, 0]);
  });

  it('keeps salts apart and does not share past the cache limit', () => {
    const kv = new KvCacheManager({
      numBlocks: 20,
      pageSize: 4,
      contextLength: 100,
      maxChunk: 100,
    });
    compute(kv, request(range(16), { cacheSalt: 1, cacheLimit: 11 }), 16);
    expect(kv.numCached).toBe(2);
    const computed = [{ cacheSalt: 1 }, { cacheSalt: 1, cacheLimit: 7 }, { cacheSalt: 2 }, {}].map(
      (options) => {
        const b = request(range(16), options);
        kv.acquirePrefix(b);
        return b.numComputed;
      },
    );
    expect(computed).toEqual([8, 4, 0, 0]);
  });

  it('publishes a block when its last token is known, not when it is computed', () => {
    const kv = new KvCacheManager({ numBlocks: 4, pageSize: 4, contextLength: 100, maxChunk: 100 });
    const a = request(range(3));
    compute(kv, a, 3);
    a.numInFlight = 1;
    compute(kv, a, 1);
    expect(kv.numCached).toBe(0);
    a.tokens.push(3);
    a.numInFlight = 0;
    kv.publish(a);
    expect(kv.numCached).toBe(1);
  });

  it('loses the tail of a released chain before its head', () => {
    const kv = new KvCacheManager({ numBlocks: 4, pageSize: 2, contextLength: 100, maxChunk: 100 });
    const a = request(range(8));
    compute(kv, a, 8);
    kv.release(a);
    compute(kv, request(range(4, 100)), 4);
    const again = request(range(9));
    kv.acquirePrefix(again);
    expect(again.numComputed).toBe(4);
  });

  it('publishes again what was reused by others while its request was preempted', () => {
    const kv = new KvCacheManager({ numBlocks: 4, pageSize: 2, contextLength: 100, maxChunk: 100 });
    const a = request(range(8));
    compute(kv, a, 8);
    kv.release(a);
    const other = request(range(8, 100), { cacheLimit: 0 });
    compute(kv, other, 8);
    kv.release(other);
    expect(kv.numCached).toBe(0);
    kv.acquirePrefix(a);
    compute(kv, a, 8);
    expect(kv.numCached).toBe(4);
  });

  it('forgets everything when cleared', () => {
    const kv = new KvCacheManager({ numBlocks: 4, pageSize: 2, contextLength: 100, maxChunk: 100 });
    compute(kv, request(range(8)), 8);
    kv.clear();
    expect([kv.numFree, kv.numCached]).toEqual([4, 0]);
  });
});

describe('forks', () => {
  const layout = { numBlocks: 12, pageSize: 2, contextLength: 100, maxChunk: 100 };

  it('go on with what the parent computed, and publish it under the names it has there', () => {
    const kv = new KvCacheManager(layout);
    const [a, b] = [request([1, 2, 3, 4, 5]), request([1, 2, 6, 7, 8])];
    compute(kv, a, 5);
    compute(kv, b, 5);
    kv.fork([a, b], [b, b]);
    expect(a.blocks).toEqual(b.blocks);
    expect([a.numComputed, kv.numFree]).toEqual([5, 12 - 3]);
    a.tokens = [...b.tokens, 9];
    compute(kv, a, 1);
    kv.release(a);
    kv.release(b);
    expect(kv.numFree).toBe(12);
    const found = [
      [1, 2, 6, 7, 8, 9, 0],
      [1, 2, 3, 4, 8, 9, 0],
    ].map((prompt) => {
      const other = request(prompt);
      kv.acquirePrefix(other);
      return other.numComputed;
    });
    expect(found).toEqual([6, 4]);
  });

  it('exchange their sequences', () => {
    const kv = new KvCacheManager(layout);
    const [a, b] = [request([1, 2, 3]), request([4, 5, 6])];
    compute(kv, a, 3);
    compute(kv, b, 3);
    const [first, second] = [[...a.blocks], [...b.blocks]];
    kv.fork([a, b], [b, a]);
    expect([a.blocks, b.blocks]).toEqual([second, first]);
    expect(kv.numFree).toBe(12 - 4);
  });

  it('count the copy in what they demand, and wait when there is no block for it', () => {
    const kv = new KvCacheManager({ ...layout, numBlocks: 2 });
    const [a, b] = [request([1]), request([1])];
    compute(kv, a, 1);
    kv.fork([a, b], [a, a]);
    for (const beam of [a, b]) {
      beam.tokens.push(2);
    }
    expect([kv.demand(a), kv.demand(b)]).toEqual([1, 1]);
    const other = request([9]);
    compute(kv, other, 1);
    expect(kv.extend(a, 1, [])).toBe(0);
    kv.release(other);
    const copies: BlockCopy[] = [];
    expect(kv.extend(a, 1, copies)).toBe(1);
    expect(copies).toEqual([{ from: b.blocks[0], to: a.blocks[0] }]);
    expect([kv.demand(b), kv.extend(b, 1, copies), copies.length]).toEqual([0, 1, 1]);
  });
});

describe('with a window', () => {
  const layout = { numBlocks: 20, pageSize: 4, contextLength: 200, window: 6, maxChunk: 4 };

  it('lets go of what nobody will attend to, and wraps the table row', () => {
    const kv = new KvCacheManager(layout);
    const a = request(range(100));
    const row = new Int32Array(kv.tableWidth).fill(-1);
    while (a.numComputed < 100) {
      compute(kv, a, 1 + (a.numComputed % 4));
      expect(a.blocks.length).toBeLessThanOrEqual(kv.tableWidth);
      expect(20 - kv.numFree).toBe(a.blocks.length);
    }
    kv.fillTableRow(a, row);
    expect(a.firstBlock).toBeGreaterThanOrEqual(22);
    for (const [i, block] of a.blocks.entries()) {
      expect(row[(a.firstBlock + i) % kv.tableWidth]).toBe(block);
    }
  });

  it('needs only the blocks inside the window for a hit', () => {
    const kv = new KvCacheManager(layout);
    const a = request(range(40));
    while (a.numComputed < 40) {
      compute(kv, a, 4);
    }
    // Reuse every block that a has left behind.
    while (kv.numFree > 0) {
      compute(kv, request([1, 2, 3], { cacheLimit: 0 }), 3);
    }
    expect(kv.numCached).toBe(a.blocks.length);
    const b = request([...range(40), 7]);
    kv.acquirePrefix(b);
    expect(b.numComputed).toBe(40);
    expect(b.firstBlock).toBe(8);
    expect(b.blocks).toHaveLength(2);
  });
});
