/** What the kernels have in common that compute four neighbouring columns in a thread or a segment of threads. @module */
import type { DeviceFacts } from '../gpu/facts.ts';
import { groupsOf, type GridAxis } from '../gpu/kernel.ts';
import type { Slots } from '../gpu/shader.ts';
import { divCeil } from '../util/arith.ts';
import { activationSlot } from './activation.ts';
import { matmulSlots, type MatmulCall } from './matmul_call.ts';
import { blockElements } from './matrix.ts';
import { blockLibrary, reducesBySubgroup } from './variants.ts';

/** Columns of the weight that a thread or segment computes. */
export const QUAD = 4;

/** Threads of a workgroup whose segments have `lanes` of them. */
export function segmentWorkgroup(lanes: number): number {
  return Math.max(64, lanes);
}

/** Library file that adds up over segments of `lanes` threads: the SEGMENT slot. */
export function segmentLibrary(facts: DeviceFacts, lanes: number): string {
  return reducesBySubgroup(facts) && facts.subgroupMinSize >= lanes
    ? 'lib/segment_subgroup.wgsl'
    : 'lib/segment_memory.wgsl';
}

/** Slots and grid of a kernel whose workgroups compute `quads` quads of columns of `tile` rows. */
export function quadDispatch(
  call: MatmulCall,
  quads: number,
  tile: number,
): { readonly slots: Slots; readonly grid: readonly [GridAxis, GridAxis, GridAxis] } {
  const { recorder, matrix, shard, rows, options } = call;
  const { gate } = options;
  // Large vocabularies need more workgroups than fit along one axis.
  const groups = divCeil(shard.rows, QUAD * quads);
  const across = Math.min(groups, recorder.facts.limits.maxComputeWorkgroupsPerDimension);
  return {
    slots: {
      ...matmulSlots(call),
      ...(gate && { GATED: true, ACTIVATION: activationSlot(gate) }),
      ROW_BLOCKS: matrix.cols / blockElements(matrix.form),
      ACROSS: across,
      BLOCK: blockLibrary(matrix.form),
    },
    grid: [across, groupsOf(rows, tile), divCeil(groups, across)],
  };
}
