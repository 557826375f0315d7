import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Device } from '../../../src/gpu/device.ts';
import { planScratch, ScratchPool, type Lifetime } from '../../../src/gpu/scratch.ts';

const lifetime = fc
  .record({
    sizeBytes: fc.integer({ min: 0, max: 40 }),
    first: fc.nat(30),
    length: fc.nat(12),
  })
  .map(({ sizeBytes, first, length }): Lifetime => ({ sizeBytes, first, last: first + length }));

function overlap(a: Lifetime, b: Lifetime): boolean {
  return a.first <= b.last && b.first <= a.last;
}

describe('planScratch', () => {
  it('never gives two tensors that live at once the same buffer, nor one that is too small', () => {
    fc.assert(
      fc.property(fc.array(lifetime, { maxLength: 40 }), (lifetimes) => {
        const { placement, sizes } = planScratch(lifetimes);
        expect(placement).toHaveLength(lifetimes.length);
        for (const [i, a] of lifetimes.entries()) {
          expect(sizes[placement[i] ?? -1]).toBeGreaterThanOrEqual(a.sizeBytes);
          for (const [j, b] of lifetimes.entries()) {
            if (i !== j && overlap(a, b)) expect(placement[i]).not.toBe(placement[j]);
          }
        }
      }),
    );
  });

  it('uses no more buffers than tensors ever live at once', () => {
    fc.assert(
      fc.property(fc.array(lifetime, { maxLength: 40 }), (lifetimes) => {
        const alive = (now: number): number =>
          lifetimes.filter(({ first, last }) => first <= now && now <= last).length;
        const most = Math.max(0, ...Array.from({ length: 50 }, (_, now) => alive(now)));
        expect(planScratch(lifetimes).sizes).toHaveLength(most);
      }),
    );
  });

  it('needs two buffers for a chain of any length', () => {
    const chain = Array.from({ length: 100 }, (_, i) => ({ sizeBytes: 64, first: i, last: i + 1 }));
    expect(planScratch(chain).sizes).toEqual([64, 64]);
  });

  it('prefers the smallest buffer that is large enough, and grows the largest where none is', () => {
    const grown = planScratch([
      { sizeBytes: 100, first: 0, last: 0 },
      { sizeBytes: 10, first: 0, last: 0 },
      { sizeBytes: 8, first: 1, last: 1 },
      { sizeBytes: 120, first: 1, last: 1 },
    ]);
    expect(grown.sizes).toEqual([120, 10]);
  });
});

/** A pool, and the sizes of the buffers it asked its device for. */
function createPool(): { readonly pool: ScratchPool; readonly created: number[] } {
  const created: number[] = [];
  const device: Pick<Device, 'createBuffer'> = {
    createBuffer(_purpose, _label, size) {
      created.push(size);
      return { size } as GPUBuffer;
    },
  };
  return { pool: new ScratchPool(device as Device), created };
}

function ascending(sizes: readonly number[]): readonly number[] {
  return sizes.toSorted((a, b) => a - b);
}

const sizesList = fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 10 });

describe('ScratchPool', () => {
  it('hands out distinct buffers that are large enough', () => {
    fc.assert(
      fc.property(fc.array(sizesList, { maxLength: 6 }), (requests) => {
        const { pool } = createPool();
        for (const sizes of requests) {
          const buffers = pool.acquire(sizes);
          expect(buffers.map(({ size }, i) => size >= (sizes[i] ?? 0))).toEqual(
            sizes.map(() => true),
          );
          expect(new Set(buffers).size).toBe(sizes.length);
        }
      }),
    );
  });

  it('needs nothing new for a request it has met, in any order, nor for a smaller one', () => {
    fc.assert(
      fc.property(sizesList, (sizes) => {
        const { pool, created } = createPool();
        pool.acquire(sizes);
        pool.acquire(sizes.toReversed());
        pool.acquire(sizes.slice(1).map((size) => size - 1));
        expect(ascending(created)).toEqual(ascending(sizes));
      }),
    );
  });

  it('shares what it has and adds only what is missing', () => {
    const { pool, created } = createPool();
    const [small, large] = pool.acquire([10, 100]);
    expect(pool.acquire([90, 20, 5])).toEqual([large, expect.anything(), small]);
    expect(created).toEqual([100, 10, 20]);
  });
});
