import { describe, expect, it } from 'vitest';
import type { DeviceFacts } from '../../../src/gpu/facts.ts';
import { chooseMatmul, matmulCandidates } from '../../../src/kernels/matmul.ts';
import type { MatmulShape } from '../../../src/kernels/matmul_call.ts';
import { preferTile, TILE_VARIANTS } from '../../../src/kernels/matmul_tile.ts';
import { PLAIN_FACTS } from '../../support/device_facts.ts';

const SHAPE: MatmulShape = { rows: 256, cols: 768, outputs: 3072, form: 'q4', isWhole: true };
const LLVMPIPE: DeviceFacts = {
  ...PLAIN_FACTS,
  isSoftware: true,
  hasSubgroups: true,
  subgroupMinSize: 8,
  subgroupMaxSize: 8,
};

describe('the kernel for many rows', () => {
  it('has larger tiles on a GPU where there are columns for many', () => {
    expect(chooseMatmul(PLAIN_FACTS, SHAPE)).toBe('tile_128x64');
    expect(chooseMatmul(PLAIN_FACTS, { ...SHAPE, outputs: 768 })).toBe('tile_64x64');
  });

  it('may multiply subgroup matrices where they are of f32 and fit, once measured', () => {
    const facts: DeviceFacts = {
      ...PLAIN_FACTS,
      hasSubgroups: true,
      subgroupMinSize: 32,
      subgroupMaxSize: 32,
    };
    const offersMatrix = (changes: Partial<DeviceFacts>): boolean =>
      matmulCandidates({ ...facts, ...changes }, SHAPE).includes('matrix');
    expect(offersMatrix({})).toBe(false);
    expect(offersMatrix({ subgroupMatrix: { m: 8, n: 8, k: 8 } })).toBe(true);
    expect(offersMatrix({ subgroupMatrix: { m: 16, n: 16, k: 16 } })).toBe(true);
    expect(offersMatrix({ subgroupMatrix: { m: 16, n: 16, k: 32 } })).toBe(false);
    expect(offersMatrix({ subgroupMatrix: { m: 8, n: 8, k: 8 }, subgroupMaxSize: 64 })).toBe(false);
    expect(chooseMatmul({ ...facts, subgroupMatrix: { m: 8, n: 8, k: 8 } }, SHAPE)).toBe(
      'tile_128x64',
    );
  });

  it('is the same for any number of them', () => {
    for (const facts of [PLAIN_FACTS, LLVMPIPE]) {
      const names = [9, 64, 4096].map((rows) => chooseMatmul(facts, { ...SHAPE, rows }));
      expect(new Set(names).size).toBe(1);
    }
  });

  it('has no barriers on a CPU, and subgroups where they are of one size', () => {
    expect(chooseMatmul(LLVMPIPE, SHAPE)).toBe('lanes');
    expect(chooseMatmul({ ...LLVMPIPE, subgroupMaxSize: 16 }, SHAPE)).toBe('direct');
    expect(chooseMatmul({ ...LLVMPIPE, hasSubgroups: false }, SHAPE)).toBe('direct');
    expect(chooseMatmul({ ...LLVMPIPE, hasSlowBarriers: true }, SHAPE)).toBe('direct');
  });

  it('gives way to the next if it was dropped', () => {
    const dropped = new Set(['rows_subgroup']);
    expect(chooseMatmul({ ...LLVMPIPE, dropped }, SHAPE)).toBe('direct');
    expect(matmulCandidates({ ...PLAIN_FACTS, dropped: new Set(['matmul_tile']) }, SHAPE)).toEqual([
      'direct',
      'plain',
    ]);
  });

  it('splits k only into parts that fit in one binding', () => {
    const { limits } = PLAIN_FACTS;
    const most = limits.maxStorageBufferBindingSize / (4 * 4 * 16_384);
    const suits = (outputs: number, rows: number) =>
      TILE_VARIANTS['tile_64x64_split']?.suits(PLAIN_FACTS, { ...SHAPE, outputs, rows });
    expect([suits(most, 9), suits(most, 16_384), suits(most, 16_385)]).toEqual([true, true, false]);
    expect(suits(most + 1, 9)).toBe(false);
  });

  it('is one that there is', () => {
    for (const facts of [PLAIN_FACTS, LLVMPIPE]) {
      for (const outputs of [64, 4096]) {
        const names = preferTile(facts, { ...SHAPE, outputs });
        expect(Object.keys(TILE_VARIANTS)).toEqual(expect.arrayContaining([...names]));
      }
    }
  });
});
