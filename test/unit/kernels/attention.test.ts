import { describe, expect, it } from 'vitest';
import { attentionTileRows, chooseSplits } from '../../../src/kernels/attention.ts';
import { loneStep, rehearsedSequence } from '../../../src/kernels/attention_rehearsal.ts';

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

describe('loneStep', () => {
  const shape = { heads: 6, kvHeads: 2, headDim: 64, kv: 'f16' } as const;
  const limits = { target: 64, maxSplits: 16 };

  it('is the last query of a sequence, its keys in pieces', () => {
    const sequence = { keys: 1000, queries: 1, pageSize: 16, tableWidth: 70 };
    const { counts, state, pages } = loneStep(shape, sequence, limits);
    expect(counts).toMatchObject({ tokens: 1, decodes: 1, tiles: 0, splits: 8, combines: 1 });
    expect(pages).toBe(63);
    expect(state.positions).toEqual({ shape: [1], words: [999] });
    expect(state.sequences).toEqual({ shape: [1, 4], words: [0, 1, 1000, 0] });
    expect(state.tables.shape).toEqual([1, 70]);
    expect(state.tables.words.slice(61)).toEqual([61, 62, 0, 0, 0, 0, 0, 0, 0]);
    const windowed = loneStep(shape, { ...sequence, window: 100 }, limits);
    expect(windowed.counts).toMatchObject({ splits: 1, combines: 0 });
  });

  it('is the last queries of a sequence, three heads to a tile of 64 rows', () => {
    const sequence = { keys: 50, queries: 40, pageSize: 16, tableWidth: 0 };
    const { counts, state } = loneStep(shape, sequence, limits);
    expect(counts).toMatchObject({ tokens: 40, decodes: 0, tiles: 2, combines: 0 });
    expect(state.tiles).toEqual({ shape: [2, 2], words: [0, 0, 0, 64] });
    expect(state.positions.words.slice(0, 2)).toEqual([10, 11]);
    expect(state.sequenceOf.words).toEqual(Array.from({ length: 40 }, () => 0));
  });
});

describe('rehearsedSequence', () => {
  const shape = { heads: 32, kvHeads: 8, headDim: 128, kv: 'f16' } as const;

  it('is long, but no longer than the tables of the step and some memory', () => {
    const like = { pageSize: 16, tableWidth: 1024 };
    expect(rehearsedSequence('one query', shape, like)).toEqual({
      ...like,
      keys: 4096,
      queries: 1,
    });
    expect(rehearsedSequence('many queries', shape, like)).toMatchObject({
      keys: 512,
      queries: 512,
    });
    const short = { pageSize: 16, tableWidth: 20, window: 300 };
    expect(rehearsedSequence('many queries', shape, short)).toEqual({
      ...short,
      keys: 320,
      queries: 320,
    });
    const large = { ...shape, kvHeads: 32, kv: 'f32' } as const;
    // 32 KiB for a token.
    expect(rehearsedSequence('one query', large, like).keys).toBe(1024);
    expect(rehearsedSequence('one query', shape, { pageSize: 8, tableWidth: 0 }).keys).toBe(4096);
  });
});
