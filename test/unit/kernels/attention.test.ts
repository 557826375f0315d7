import { describe, expect, it } from 'vitest';
import { attentionTileRows, chooseSplits } from '../../../src/kernels/attention.ts';

const STEP = {
  decodes: 1,
  kvHeads: 4,
  kvLength: 10_000,
  pageSize: 16,
  target: 32,
  maxSplits: 16,
};

describe('chooseSplits', () => {
  it('aims at the target number of workgroups', () => {
    expect(chooseSplits(STEP)).toBe(8);
    expect(chooseSplits({ ...STEP, decodes: 3 })).toBe(3);
    expect(chooseSplits({ ...STEP, decodes: 100 })).toBe(1);
  });

  it('leaves each piece a tile of keys and at least a page', () => {
    expect(chooseSplits({ ...STEP, kvLength: 1 })).toBe(1);
    expect(chooseSplits({ ...STEP, kvLength: 128 })).toBe(1);
    expect(chooseSplits({ ...STEP, kvLength: 129 })).toBe(2);
    expect(chooseSplits({ ...STEP, kvLength: 1000, pageSize: 512 })).toBe(2);
  });

  it('stays within the most that was recorded', () => {
    expect(chooseSplits({ ...STEP, target: 1e6 })).toBe(16);
    expect(chooseSplits({ ...STEP, target: 1e6, maxSplits: 5 })).toBe(5);
  });

  it('is 1 for a step without decodes', () => {
    expect(chooseSplits({ ...STEP, decodes: 0, kvLength: 0 })).toBe(1);
  });
});

describe('attentionTileRows', () => {
  it('shrinks as heads grow, so that a row fits in the registers of its threads', () => {
    expect([1, 32, 33, 64, 80, 128, 129, 256].map(attentionTileRows)).toEqual([
      128, 128, 64, 64, 32, 32, 16, 16,
    ]);
  });
});
