import { describe, expect, it } from 'vitest';
import { chooseDisentangled } from '../../../src/kernels/disentangled_attention.ts';
import type { DeviceFacts } from '../../../src/gpu/facts.ts';
import { attentionKey, chooseAttention, splitLimits } from '../../../src/kernels/attention.ts';
import { kvBytesPerPage, kvLibrary, paddedHeadDim } from '../../../src/kernels/kv_cache.ts';
import { chooseMatmul, matmulKey } from '../../../src/kernels/matmul.ts';
import type { WeightForm } from '../../../src/kernels/matrix.ts';
import { reduceLibrary, workgroupFor, type Variant } from '../../../src/kernels/variants.ts';
import { PLAIN_FACTS } from '../../support/device_facts.ts';

const shape = (rows: number, cols: number, form: WeightForm = 'f32') =>
  ({ rows, cols, outputs: 100, form, isWhole: true }) as const;

describe('chooseMatmul', () => {
  it.each([
    [1, 64, 'f32', 'few_8x4'],
    [8, 4, 'f32', 'few_8x4'],
    [9, 64, 'f32', 'tile_64x64'],
    [1, 62, 'f32', 'plain'],
    [256, 1, 'f32', 'plain'],
    [1, 60, 'f16', 'plain'],
    [1, 64, 'q4', 'few_8x4'],
    [9, 96, 'q8', 'tile_64x64'],
  ] as const)('for %i rows of %i %s: %s', (rows, cols, form, variant) => {
    expect(chooseMatmul(PLAIN_FACTS, shape(rows, cols, form))).toBe(variant);
  });

  it('avoids barriers where they are slow', () => {
    const slow = { ...PLAIN_FACTS, hasSlowBarriers: true };
    expect(chooseMatmul(slow, shape(1, 64))).toBe('direct');
    expect(chooseMatmul(slow, shape(256, 64))).toBe('direct');
    expect(chooseMatmul(slow, shape(256, 63))).toBe('plain');
  });

  it('takes what was measured, where it can run', () => {
    const tuned = (name: string) => {
      const measured = new Map([[matmulKey(shape(9, 64)), name]]);
      return chooseMatmul({ ...PLAIN_FACTS, tuned: measured }, shape(9, 64));
    };
    expect(tuned('direct')).toBe('direct');
    expect(tuned('few_8x4')).toBe('tile_64x64');
    expect(tuned('gone')).toBe('tile_64x64');
  });
});

const PROCESSOR = {
  isSoftware: true,
  hasSubgroups: true,
  subgroupMinSize: 8,
  subgroupMaxSize: 8,
} as const;
const HEADS = { heads: 8, kvHeads: 2, headDim: 64, kv: 'f16' } as const;

describe('chooseAttention', () => {
  const choose = (facts: Partial<DeviceFacts>, headDim: number) =>
    chooseAttention({ ...PLAIN_FACTS, ...facts }, { ...HEADS, headDim });

  it('gives a GPU threads that share, and a processor threads that do much', () => {
    expect(choose({}, 64)).toEqual({ one: 'split', many: 'tile_1x8' });
    expect(choose({ vendor: 'nvidia' }, 64)).toEqual({ one: 'split', many: 'tile_2x8' });
    expect(choose(PROCESSOR, 64)).toEqual({ one: 'lanes', many: 'tile_8x8' });
    expect(choose(PROCESSOR, 128)).toEqual({ one: 'lanes', many: 'tile_4x8' });
    expect(choose(PROCESSOR, 255)).toEqual({ one: 'lanes', many: 'tile_2x8' });
    expect(choose({ ...PROCESSOR, hasSubgroups: false }, 64)).toMatchObject({ one: 'split' });
    expect(choose({ ...PROCESSOR, subgroupMaxSize: 16 }, 64)).toMatchObject({ one: 'split' });
    expect(choose({ ...PROCESSOR, hasSlowBarriers: true }, 64)).toBe('direct');
  });

  it('takes what was measured, where it can run, unless it is told which', () => {
    const [one, many] = [attentionKey(HEADS, 'one query'), attentionKey(HEADS, 'many queries')];
    expect([one, many]).toEqual([
      'attention f16 8/2 heads of 64, one query',
      'attention f16 8/2 heads of 64, many queries',
    ]);
    const tuned = new Map([
      [one, 'lanes'],
      [many, 'tile_4x4'],
    ]);
    expect(choose({ tuned }, 64)).toEqual({ one: 'split', many: 'tile_4x4' });
    expect(choose({ ...PROCESSOR, isSoftware: false, tuned }, 64)).toMatchObject({ one: 'lanes' });
    expect(choose({ ...PROCESSOR, tuned: new Map([[one, 'split']]) }, 64)).toMatchObject({
      one: 'split',
    });
    expect(choose({ tuned }, 128)).toMatchObject({ many: 'tile_1x8' });
    expect(choose({ tuned: new Map([[many, 'gone']]) }, 64)).toMatchObject({ many: 'tile_1x8' });
    const facts = { ...PLAIN_FACTS, tuned };
    expect(chooseAttention(facts, HEADS, 'tile_2x8')).toEqual({ one: 'split', many: 'tile_2x8' });
    expect(chooseAttention(facts, HEADS, 'direct')).toBe('direct');
    // Another inner loop, another choice.
    const biased = { ...HEADS, isBiased: true };
    expect(attentionKey(biased, 'one query')).toBe(
      'attention f16 8/2 heads of 64 with bias, one query',
    );
    expect(chooseAttention(facts, biased)).toMatchObject({ many: 'tile_1x8' });
  });
});

describe('splitLimits', () => {
  it('cuts long keys into as many pieces as keep the device busy', () => {
    expect(splitLimits({ isSoftware: true, vendor: '' }, 8)).toEqual({ target: 64, maxSplits: 16 });
    expect(splitLimits({ isSoftware: false, vendor: 'nvidia' }, 8)).toEqual({
      target: 1024,
      maxSplits: 64,
    });
    expect(splitLimits({ isSoftware: false, vendor: 'intel' }, 999)).toEqual({
      target: 256,
      maxSplits: 16,
    });
  });
});

describe('a dropped variant', () => {
  const without = (...dropped: readonly Variant[]) => ({
    ...PLAIN_FACTS,
    hasF16: true,
    hasSubgroups: true,
    dropped: new Set(dropped),
  });

  it('is replaced by the next best kernel', () => {
    expect(chooseMatmul(without('matmul_tile'), shape(9, 64))).toBe('direct');
    expect(chooseMatmul(without('matmul_tile'), shape(8, 64))).toBe('few_8x4');
    expect(chooseMatmul(without('matmul_few'), shape(8, 64))).toBe('tile_64x64');
    expect(chooseMatmul(without('matmul_few'), shape(9, 64))).toBe('tile_64x64');
    const none = without('matmul_few', 'matmul_tile', 'matmul_direct');
    expect(chooseMatmul(none, shape(8, 64))).toBe('plain');
    const slow = { ...without('matmul_direct'), hasSlowBarriers: true };
    expect(chooseMatmul(slow, shape(8, 64))).toBe('plain');
    expect(chooseAttention(without('attention_tiled'), HEADS)).toBe('direct');
    const processor = { ...without('attention_lanes'), ...PROCESSOR };
    expect(chooseAttention(processor, HEADS)).toMatchObject({ one: 'split' });
    expect(chooseDisentangled(PLAIN_FACTS)).toBe('tile');
    expect(chooseDisentangled(without('disentangled_tile'))).toBe('direct');
  });

  it('is replaced by the plain library', () => {
    expect(reduceLibrary(without('reduce_subgroup'))).toBe('lib/reduce_tree.wgsl');
  });
});

describe('libraries', () => {
  it('reduce with subgroups where there are any', () => {
    expect(reduceLibrary(PLAIN_FACTS)).toBe('lib/reduce_tree.wgsl');
    expect(reduceLibrary({ ...PLAIN_FACTS, hasSubgroups: true })).toBe('lib/reduce_subgroup.wgsl');
  });

  it('read a cache of any type', () => {
    expect(kvLibrary('q8')).toBe('lib/kv_q8.wgsl');
    expect(kvLibrary('f32')).toBe('lib/kv_f32.wgsl');
    expect(kvLibrary('f16')).toBe('lib/kv_f16.wgsl');
  });
});

describe('workgroupFor', () => {
  it('is the power of two that covers the size, from 32 to 256', () => {
    const sizes = [1, 32, 33, 64, 100, 255, 256, 100_000];
    expect(sizes.map((size) => workgroupFor(size))).toEqual([32, 32, 64, 64, 128, 256, 256, 256]);
  });
});

describe('KV pages', () => {
  it('hold whole vec4s of keys and values', () => {
    expect([1, 4, 10, 64].map((size) => paddedHeadDim(size))).toEqual([4, 4, 12, 64]);
    const shape = { kvHeads: 3, headDim: 10, pageSize: 16 } as const;
    expect(kvBytesPerPage({ ...shape, dtype: 'f32' })).toBe(2 * 3 * 16 * 12 * 4);
    expect(kvBytesPerPage({ ...shape, dtype: 'f16' })).toBe(2 * 3 * 16 * 12 * 2);
    expect(kvBytesPerPage({ ...shape, dtype: 'q8' })).toBe(2 * 3 * 16 * (12 + 4));
  });
});
