import type { DeviceFacts } from '../gpu/device.ts';
import type { DType } from '../gpu/tensor.ts';
import { ShapeError } from '../util/errors.ts';

/**
 * What a device may get wrong and something plainer can stand in for: kernels and libraries of `shaders/` by file name;
 * `attention_tiled` is `attention_split`, `attention_combine` and `attention_tile` together. One that is in
 * `DeviceFacts.dropped` is not chosen.
 */
export const VARIANTS = [
  'matmul_tile',
  'matmul_few',
  'matmul_direct',
  'attention_tiled',
  'disentangled_tile',
  'reduce_subgroup',
  'weight_f16_native',
] as const;
export type Variant = (typeof VARIANTS)[number];

/** Whether a variant has been found to work here, or has not been found to fail. */
export function isUsable(facts: Pick<DeviceFacts, 'dropped'>, variant: Variant): boolean {
  return !facts.dropped.has(variant);
}

/** Whether workgroups reduce by subgroup operations. */
export function reducesBySubgroup(facts: DeviceFacts): boolean {
  return facts.hasSubgroups && isUsable(facts, 'reduce_subgroup');
}

/** Whether weights stored as f16 are read as such, not unpacked from words. */
export function readsNativeF16(facts: DeviceFacts): boolean {
  return facts.hasF16 && isUsable(facts, 'weight_f16_native');
}

/** Library file that reduces over a workgroup on a device with these facts: the REDUCE slot. */
export function reduceLibrary(facts: DeviceFacts): string {
  return reducesBySubgroup(facts) ? 'lib/reduce_subgroup.wgsl' : 'lib/reduce_tree.wgsl';
}

/** Library file that reads weights stored as `dtype` on a device with these facts: the WEIGHT slot. */
export function weightLibrary(facts: DeviceFacts, dtype: DType): string {
  switch (dtype) {
    case 'f32':
      return 'lib/weight_f32.wgsl';
    case 'f16':
      return readsNativeF16(facts) ? 'lib/weight_f16_native.wgsl' : 'lib/weight_f16.wgsl';
    case 'bf16':
      return 'lib/weight_bf16.wgsl';
    case 'u32':
    case 'i32':
      throw new ShapeError(`weights: stored as ${dtype}, expected f32, f16 or bf16`);
  }
}

/** Threads for a workgroup that covers `size` elements: a power of two between 32 and 256. */
export function workgroupFor(size: number): number {
  return Math.min(256, Math.max(32, 2 ** Math.ceil(Math.log2(size))));
}
