import type { DeviceFacts } from '../gpu/facts.ts';
import type { Slots } from '../gpu/shader.ts';
import type { WeightForm } from './matrix.ts';

/**
 * What a device may get wrong and something plainer can stand in for: kernels and libraries of `shaders/` by file name;
 * `attention_tiled` is `attention_split`, `attention_combine` and `attention_tile` together, `attention_lanes` the
 * replacement of the first. One that is in
 * `DeviceFacts.dropped` is not chosen.
 */
export const VARIANTS = [
  'matmul_tile',
  'matmul_tile_matrix',
  'matmul_few',
  'matmul_few_alone',
  'matmul_few_dot4',
  'matmul_direct',
  'attention_tiled',
  'attention_lanes',
  'disentangled_tile',
  'reduce_subgroup',
  'rows_subgroup',
] as const;
export type Variant = (typeof VARIANTS)[number];

/** A multiple of what `reduce_tree.wgsl` needs. */
const SOFTWARE_ROW_THREADS = 16;

/** Whether a variant has been found to work here, or has not been found to fail. */
export function isUsable(facts: Pick<DeviceFacts, 'dropped'>, variant: Variant): boolean {
  return !facts.dropped.has(variant);
}

/** Whether workgroups reduce by subgroup operations. */
export function reducesBySubgroup(facts: DeviceFacts): boolean {
  return facts.hasSubgroups && isUsable(facts, 'reduce_subgroup');
}

/** Library file that reduces over a workgroup on a device with these facts: the REDUCE slot. */
export function reduceLibrary(facts: DeviceFacts): string {
  return reducesBySubgroup(facts) ? 'lib/reduce_subgroup.wgsl' : 'lib/reduce_tree.wgsl';
}

/** Library file that reads single elements of weights in a form: the WEIGHT slot. */
export function weightLibrary(form: WeightForm): string {
  return `lib/weight_${form}.wgsl`;
}

/** Library file that reads blocks of 16 bytes of weights in a form: the BLOCK slot. */
export function blockLibrary(form: WeightForm): string {
  return `lib/block_${form}.wgsl`;
}

/** Slots of a kernel whose workgroups reduce a row each: how it reads the row, how many threads do, how they reduce. */
export function rowSlots(facts: DeviceFacts, dim: number): Slots {
  const width = dim % 4 === 0 ? 4 : 1;
  return {
    WIDE: `lib/wide_${width}.wgsl`,
    // What a processor's threads save by being more they lose at barriers.
    WORKGROUP: facts.isSoftware ? SOFTWARE_ROW_THREADS : workgroupFor(dim / width),
    REDUCE: reduceLibrary(facts),
  };
}

/** Threads for a workgroup that covers `size` elements: a power of two between 32 and 256. */
export function workgroupFor(size: number): number {
  return Math.min(256, Math.max(32, 2 ** Math.ceil(Math.log2(size))));
}
