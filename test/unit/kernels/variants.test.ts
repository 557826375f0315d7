import { describe, expect, it } from 'vitest';
import { chooseDisentangled } from '../../../src/kernels/disentangled_attention.ts';
import { chooseAttention } from '../../../src/kernels/attention.ts';
import { kvBytesPerPage, kvLibrary, paddedHeadDim } from '../../../src/kernels/kv_cache.ts';
import { chooseMatmul } from '../../../src/kernels/matmul.ts';
import {
  reduceLibrary,
  weightLibrary,
  workgroupFor,
  type Variant,
} from '../../../src/kernels/variants.ts';
import { ShapeError } from '../../../src/util/errors.ts';
import { PLAIN_FACTS } from '../../support/device_facts.ts';

describe('chooseMatmul', () => {
  it.each([
    [1, 64, 'few'],
    [8, 64, 'few'],
    [{ count: 'tokens', capacity: 8 }, 4, 'few'],
    [9, 64, 'tile'],
    [{ count: 'tokens', capacity: 256 }, 64, 'tile'],
    [1, 62, 'plain'],
    [256, 1, 'plain'],
  ] as const)('for %j rows of %i: %s', (rows, cols, variant) => {
    expect(chooseMatmul(PLAIN_FACTS, rows, cols)).toBe(variant);
  });

  it('avoids barriers where they are slow', () => {
    const slow = { ...PLAIN_FACTS, hasSlowBarriers: true };
    expect(chooseMatmul(slow, 1, 64)).toBe('direct');
    expect(chooseMatmul(slow, 256, 64)).toBe('direct');
    expect(chooseMatmul(slow, 256, 63)).toBe('plain');
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
    expect(chooseMatmul(without('matmul_tile'), 9, 64)).toBe('direct');
    expect(chooseMatmul(without('matmul_tile'), 8, 64)).toBe('few');
    expect(chooseMatmul(without('matmul_few'), 8, 64)).toBe('direct');
    expect(chooseMatmul(without('matmul_few'), 9, 64)).toBe('tile');
    expect(chooseMatmul(without('matmul_few', 'matmul_direct'), 8, 64)).toBe('plain');
    const slow = { ...without('matmul_direct'), hasSlowBarriers: true };
    expect(chooseMatmul(slow, 8, 64)).toBe('plain');
    expect(chooseAttention(PLAIN_FACTS)).toBe('tiled');
    expect(chooseAttention(without('attention_tiled'))).toBe('direct');
    expect(chooseDisentangled(PLAIN_FACTS)).toBe('tile');
    expect(chooseDisentangled(without('disentangled_tile'))).toBe('direct');
  });

  it('is replaced by the plain library', () => {
    expect(reduceLibrary(without('reduce_subgroup'))).toBe('lib/reduce_tree.wgsl');
    expect(weightLibrary(without('weight_f16_native'), 'f16')).toBe('lib/weight_f16.wgsl');
    expect(weightLibrary(without('reduce_subgroup'), 'f16')).toBe('lib/weight_f16_native.wgsl');
  });
});

describe('libraries', () => {
  it('reduce with subgroups where there are any', () => {
    expect(reduceLibrary(PLAIN_FACTS)).toBe('lib/reduce_tree.wgsl');
    expect(reduceLibrary({ ...PLAIN_FACTS, hasSubgroups: true })).toBe('lib/reduce_subgroup.wgsl');
  });

  it('read every weight dtype on every device', () => {
    const withF16 = { ...PLAIN_FACTS, hasF16: true };
    expect(weightLibrary(PLAIN_FACTS, 'f32')).toBe('lib/weight_f32.wgsl');
    expect(weightLibrary(PLAIN_FACTS, 'f16')).toBe('lib/weight_f16.wgsl');
    expect(weightLibrary(withF16, 'f16')).toBe('lib/weight_f16_native.wgsl');
    expect(weightLibrary(PLAIN_FACTS, 'bf16')).toBe('lib/weight_bf16.wgsl');
    expect(weightLibrary(withF16, 'bf16')).toBe('lib/weight_bf16.wgsl');
    expect(() => weightLibrary(PLAIN_FACTS, 'u32')).toThrow(ShapeError);
  });

  it('read a cache of either type', () => {
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
  });
});
