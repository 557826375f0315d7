import { describe, expect, it } from 'vitest';
import { chainKey, equalKeys } from '../../../../src/engine/core/block_hash.ts';
import type { BlockKey } from '../../../../src/engine/core/block_hash.ts';

const PAGE = 4;

function chain(tokens: readonly number[], salt = 0): BlockKey | undefined {
  let key: BlockKey | undefined;
  for (let start = 0; start < tokens.length; start += PAGE) {
    key = chainKey(key, tokens.slice(start, start + PAGE), salt);
  }
  return key;
}

function equal(a: BlockKey | undefined, b: BlockKey | undefined): boolean {
  return a !== undefined && b !== undefined && equalKeys(a, b);
}

describe('block keys', () => {
  it('are equal for equal tokens, however they were built', () => {
    const a = chain([1, 2, 3, 4, 5, 6, 7, 8]);
    const b = chain([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(a).not.toBe(b);
    expect(equal(a, b)).toBe(true);
    expect(a?.hash).toBe(b?.hash);
  });

  it.each([
    { name: 'last token', a: chain([1, 2, 3, 4]), b: chain([1, 2, 3, 5]) },
    { name: 'order', a: chain([1, 2, 3, 4]), b: chain([2, 1, 3, 4]) },
    {
      name: 'earlier block',
      a: chain([1, 2, 3, 4, 9, 9, 9, 9]),
      b: chain([0, 2, 3, 4, 9, 9, 9, 9]),
    },
    { name: 'position', a: chain([9, 9, 9, 9]), b: chain([9, 9, 9, 9, 9, 9, 9, 9]) },
    { name: 'salt', a: chain([1, 2, 3, 4], 1), b: chain([1, 2, 3, 4], 2) },
    { name: 'zero tokens', a: chain([0, 0, 0, 0]), b: chain([0, 0, 0, 0, 0, 0, 0, 0]) },
  ])('differ by $name', ({ a, b }) => {
    expect(equal(a, b)).toBe(false);
    expect(a?.hash).not.toBe(b?.hash);
  });

  it('differ where only an ancestor or the salt differs and all hashes collide', () => {
    const link = (parent: BlockKey | undefined, tokens: number[], salt = 0): BlockKey => ({
      hash: 7,
      parent,
      tokens,
      salt,
    });
    const a = link(link(undefined, [1, 2]), [5, 6]);
    expect(equalKeys(a, link(link(undefined, [3, 4]), [5, 6]))).toBe(false);
    expect(equalKeys(a, link(undefined, [5, 6]))).toBe(false);
    expect(equalKeys(a, link(link(undefined, [1, 2], 1), [5, 6], 1))).toBe(false);
    expect(equalKeys(a, link(link(undefined, [1, 2]), [5, 6]))).toBe(true);
  });

  it('compares a chain of 20000 blocks without running out of stack', () => {
    const tokens = Array.from({ length: 80_000 }, (_, i) => i % 50);
    expect(equal(chain(tokens), chain(tokens))).toBe(true);
  });

  it('spreads hashes of similar blocks', () => {
    const hashes = new Set<number>();
    for (let a = 0; a < 64; a++) {
      for (let b = 0; b < 64; b++) {
        hashes.add(chainKey(undefined, [a, b, 0, 0], 0).hash);
      }
    }
    expect(hashes.size).toBeGreaterThan(4090);
  });
});
