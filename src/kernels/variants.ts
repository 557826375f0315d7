import type { DeviceFacts } from '../gpu/device.ts';
import type { DType } from '../gpu/tensor.ts';
import { ShapeError } from '../util/errors.ts';

/** Library file that reduces over a workgroup on a device with these facts: the REDUCE slot. */
export function reduceLibrary(facts: DeviceFacts): string {
  return facts.hasSubgroups ? 'lib/reduce_subgroup.wgsl' : 'lib/reduce_tree.wgsl';
}

/** Library file that reads weights stored as `dtype` on a device with these facts: the WEIGHT slot. */
export function weightLibrary(facts: DeviceFacts, dtype: DType): string {
  switch (dtype) {
    case 'f32':
      return 'lib/weight_f32.wgsl';
    case 'f16':
      return facts.hasF16 ? 'lib/weight_f16_native.wgsl' : 'lib/weight_f16.wgsl';
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
