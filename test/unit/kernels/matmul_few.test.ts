import { describe, expect, it } from 'vitest';
import {
  chooseMatmul,
  MATMUL_VARIANTS,
  matmulCandidates,
  matmulKey,
} from '../../../src/kernels/matmul.ts';
import { preferFew } from '../../../src/kernels/matmul_few.ts';
import { segmentLibrary } from '../../../src/kernels/matmul_quads.ts';
import type { WeightForm } from '../../../src/kernels/matrix.ts';
import { PLAIN_FACTS } from '../../support/device_facts.ts';

const shape = (rows: number, cols: number, form: WeightForm) =>
  ({ rows, cols, outputs: 100, form, isWhole: true }) as const;

const GPU = { ...PLAIN_FACTS, hasSubgroups: true, subgroupMinSize: 32, hasDot4: true };
const SOFTWARE = {
  ...PLAIN_FACTS,
  isSoftware: true,
  hasSubgroups: true,
  subgroupMinSize: 8,
  subgroupMaxSize: 8,
};

describe('few rows', () => {
  it.each([
    [2048, 'f32', 'few_32x4'],
    [2048, 'q4', 'few_32x4'],
    [1024, 'q4', 'few_16x4'],
    [128, 'q4', 'few_8x4'],
  ] as const)('of %i columns in %s: %s on a GPU', (cols, form, variant) => {
    expect(chooseMatmul(GPU, shape(1, cols, form))).toBe(variant);
  });

  it('are shared out within a subgroup where there are any', () => {
    expect(chooseMatmul({ ...GPU, subgroupMinSize: 16 }, shape(1, 4096, 'q8'))).toBe('few_16x4');
    expect(chooseMatmul({ ...GPU, subgroupMinSize: 4 }, shape(1, 4096, 'q8'))).toBe('few_8x4');
    expect(chooseMatmul(PLAIN_FACTS, shape(1, 4096, 'q8'))).toBe('few_16x4');
    expect(segmentLibrary(GPU, 32)).toBe('lib/segment_subgroup.wgsl');
    expect(segmentLibrary(GPU, 64)).toBe('lib/segment_memory.wgsl');
    expect(segmentLibrary(PLAIN_FACTS, 8)).toBe('lib/segment_memory.wgsl');
  });

  it.each([
    [1, 'f32', 'few_8x4'],
    [8, 'f32', 'lanes'],
    [1, 'bf16', 'few_8x4'],
    [2, 'f16', 'lanes'],
    [1, 'q8', 'few_alone'],
    [8, 'q4', 'lanes'],
  ] as const)('%i of %s on a processor: %s', (rows, form, variant) => {
    expect(chooseMatmul(SOFTWARE, shape(rows, 576, form))).toBe(variant);
  });

  it.each(['f32', 'q8'] as const)('of %s share no lanes where subgroups have no size', (form) => {
    const none = { ...SOFTWARE, hasSubgroups: false };
    expect(chooseMatmul(none, shape(8, 576, form))).toBe(form === 'f32' ? 'few_8x8' : 'few_8x4');
  });

  it('are rounded to 8 bits only where that was measured to be faster', () => {
    const q4 = shape(1, 4096, 'q4');
    expect(matmulCandidates(GPU, q4)).toContain('few_dot4_32');
    expect(matmulCandidates({ ...GPU, hasDot4: false }, q4)).not.toContain('few_dot4_32');
    expect(matmulCandidates(GPU, shape(1, 4096, 'f16'))).not.toContain('few_dot4_32');
    const tuned = new Map([[matmulKey(q4), 'few_dot4_32']]);
    expect(chooseMatmul({ ...GPU, tuned }, q4)).toBe('few_dot4_32');
  });

  it('are preferred by names that exist', () => {
    for (const facts of [GPU, SOFTWARE, PLAIN_FACTS]) {
      for (const name of preferFew(facts, shape(8, 4096, 'q4'))) {
        expect(MATMUL_VARIANTS).toHaveProperty(name);
      }
    }
  });
});
