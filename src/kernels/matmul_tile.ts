/** Multiplication of many rows, as in prefill and encoders. @module */
import type { DeviceFacts } from '../gpu/facts.ts';
import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import type { Slots } from '../gpu/shader.ts';
import { capacityOf } from '../gpu/tensor.ts';
import { divCeil } from '../util/arith.ts';
import combineSource from '../../shaders/matmul_combine.wgsl?raw';
import directSource from '../../shaders/matmul_direct.wgsl?raw';
import matrixSource from '../../shaders/matmul_tile_matrix.wgsl?raw';
import tileSource from '../../shaders/matmul_tile.wgsl?raw';
import {
  hasWholeBlocks,
  MATMUL_OPERANDS,
  matmulBindings,
  matmulCost,
  matmulSlots,
  rowsSlots,
  type MatmulCall,
  type MatmulShape,
  type MatmulVariant,
  type MatmulVariants,
} from './matmul_call.ts';
import { quadDispatch } from './matmul_quads.ts';

const BINDINGS = { ...MATMUL_OPERANDS, counts: 'uniform' } as const;

const direct = defineKernel({ name: 'matmul_direct', source: directSource, bindings: BINDINGS });
const tile = defineKernel({ name: 'matmul_tile', source: tileSource, bindings: BINDINGS });
const matrix = defineKernel({
  name: 'matmul_tile_matrix',
  source: matrixSource,
  bindings: BINDINGS,
});
const combine = defineKernel({
  name: 'matmul_combine',
  source: combineSource,
  bindings: { parts: 'read', bias: 'read', residual: 'read', y: 'write' },
});

/** Most rows of y that a thread of `direct` computes. */
const DIRECT_ROWS = 8;
const COMBINE_WORKGROUP = 64;
/** Room that parts of a split k must have, however few the rows: whether it is split may not depend on their number. */
const MOST_SPLIT_ROWS = 16_384;
/** Rows and columns of y that a workgroup of `matrix` computes, in quarters by its subgroups. */
const MATRIX_SIDE = 64;
/** Most k that it stages at once. */
const MATRIX_SLAB = 16;

/** Threads of a workgroup of `tile`, and what each computes. */
interface Tile {
  readonly threads: readonly [x: number, y: number];
  /** Fours of rows of a thread. */
  readonly high: number;
  /** Fours of columns of a thread. */
  readonly wide: number;
  /** Fours of k that are staged at once. Each thread stages at most four rows of one. */
  readonly slab4: number;
  /** Parts that k is split into. */
  readonly splits?: number;
}

const TILE_64X64: Tile = { threads: [16, 16], high: 1, wide: 1, slab4: 8 };

/**
 * Ways to multiply any number of rows. `lanes` is `direct` with a subgroup in step. `tile_*` are named by the rows and columns of y that a workgroup computes;
 * `_split` adds workgroups where there are few. `matrix` multiplies subgroup matrices and has only been compiled so far:
 * no adapter at hand has them.
 */
export const TILE_VARIANTS: MatmulVariants = {
  direct: {
    kernel: 'matmul_direct',
    suits: (_facts, shape) => hasWholeBlocks(shape),
    fusesGate: true,
    record(call) {
      const BUNDLE = Math.min(DIRECT_ROWS, capacityOf(call.rows));
      recordDirect(call, 16, { BUNDLE, BUNDLES: 1, ROWS_LIBRARY: 'lib/rows_load.wgsl' });
    },
  },
  lanes: {
    kernel: 'matmul_direct',
    library: 'rows_subgroup',
    suits: (facts, shape) => subgroupLanes(facts) !== undefined && hasWholeBlocks(shape),
    fusesGate: true,
    record(call) {
      const lanes = subgroupLanes(call.recorder.facts) ?? 1;
      const BUNDLES = capacityOf(call.rows) <= lanes ? 1 : 2;
      const slots = { BUNDLE: lanes, BUNDLES, ROWS_LIBRARY: 'lib/rows_subgroup.wgsl' };
      recordDirect(call, lanes, slots);
    },
  },
  tile_32x64: tileVariant({ threads: [16, 8], high: 1, wide: 1, slab4: 4 }),
  tile_64x64: tileVariant(TILE_64X64),
  tile_128x64: tileVariant({ threads: [16, 16], high: 2, wide: 1, slab4: 4 }),
  tile_128x128: tileVariant({ threads: [16, 16], high: 2, wide: 2, slab4: 4 }),
  tile_64x64_split: tileVariant({ ...TILE_64X64, splits: 4 }),
  matrix: {
    kernel: 'matmul_tile_matrix',
    suits: (facts, shape) => hasSubgroupMatrices(facts) && hasWholeBlocks(shape),
    record(call) {
      const { subgroupMatrix, subgroupMaxSize } = call.recorder.facts;
      const { m = 0, n = 0, k = 0 } = subgroupMatrix ?? {};
      const { slots, grid } = quadDispatch(call, MATRIX_SIDE / 4, MATRIX_SIDE);
      call.recorder.dispatch(matrix, {
        ...matmulCost(call),
        slots: {
          ...slots,
          ...rowsSlots(call),
          SUBGROUP: subgroupMaxSize,
          SIZE_M: m,
          SIZE_N: n,
          SIZE_K: k,
        },
        bindings: matmulBindings(call),
        grid,
      });
    },
  },
};

/**
 * The variants to try, best first, where none has been measured. What comes first depends on the weight alone, as do the
 * sums of all but `tile_64x64_split`.
 */
export function preferTile(facts: DeviceFacts, { outputs }: MatmulShape): readonly string[] {
  if (facts.hasSlowBarriers) return ['direct'];
  if (facts.isSoftware) return ['lanes', 'direct'];
  return outputs >= 2048
    ? ['tile_128x64', 'tile_128x128', 'tile_64x64', 'tile_32x64', 'matrix', 'direct']
    : ['tile_64x64', 'tile_128x64', 'tile_32x64', 'tile_64x64_split', 'matrix', 'direct'];
}

/** Threads of every subgroup, if all have as many, and not more rows than a thread can hold sums of. */
function subgroupLanes(facts: DeviceFacts): number | undefined {
  const { hasSubgroups, subgroupMinSize, subgroupMaxSize } = facts;
  if (!hasSubgroups || subgroupMinSize !== subgroupMaxSize) return undefined;
  return subgroupMaxSize <= 32 ? subgroupMaxSize : undefined;
}

/** Whether there are any, of sizes that fit the kernel, and subgroups of one size to share out the work. */
function hasSubgroupMatrices(facts: DeviceFacts): boolean {
  const { subgroupMatrix, subgroupMinSize, subgroupMaxSize } = facts;
  if (subgroupMatrix === undefined || !facts.hasSubgroups) return false;
  const { m, n, k } = subgroupMatrix;
  const fits = (MATRIX_SIDE / 2) % m === 0 && (MATRIX_SIDE / 2) % n === 0 && MATRIX_SLAB % k === 0;
  return fits && subgroupMinSize === subgroupMaxSize && 4 * subgroupMaxSize <= 256;
}

function recordDirect(
  call: MatmulCall,
  workgroup: number,
  bundles: { readonly BUNDLE: number; readonly BUNDLES: number; readonly ROWS_LIBRARY: string },
): void {
  const { slots, grid } = quadDispatch(call, workgroup, bundles.BUNDLES * bundles.BUNDLE);
  call.recorder.dispatch(direct, {
    ...matmulCost(call),
    slots: { ...slots, ...rowsSlots(call), ...bundles, WORKGROUP: workgroup },
    bindings: matmulBindings(call),
    grid,
  });
}

function tileVariant(shape: Tile): MatmulVariant {
  const { splits = 1 } = shape;
  return {
    kernel: 'matmul_tile',
    suits: ({ limits }, { rows, outputs, ...rest }) =>
      hasWholeBlocks({ rows, outputs, ...rest }) &&
      (splits === 1 ||
        4 * splits * Math.max(rows, MOST_SPLIT_ROWS) * outputs <=
          limits.maxStorageBufferBindingSize),
    fusesGate: splits === 1,
    record(call) {
      if (splits === 1) recordTile(call, shape);
      else recordSplit(call, shape, splits);
    },
  };
}

function recordTile(call: MatmulCall, shape: Tile): void {
  const { slots, grid } = tileDispatch(call, shape);
  const bindings = matmulBindings(call);
  call.recorder.dispatch(tile, { ...matmulCost(call), slots, bindings, grid });
}

/** Sums of parts of k first, which are added up and ended by a second dispatch. */
function recordSplit(call: MatmulCall, shape: Tile, splits: number): void {
  const { recorder, shard, rows } = call;
  const ROWS = capacityOf(rows);
  const parts = recorder.scratch('f32', [splits * ROWS, shard.rows]);
  const { slots, grid } = tileDispatch({ ...call, options: {} }, shape);
  const { bias, residual, y, ...operands } = matmulBindings(call);
  recorder.dispatch(tile, {
    ...matmulCost({ ...call, y: parts, options: {} }),
    slots: { ...slots, PARTS: splits },
    bindings: { ...operands, bias: call.x, residual: call.x, y: parts },
    grid: [grid[0], grid[1], splits],
  });
  recorder.dispatch(combine, {
    slots: { ...matmulSlots(call), ROWS, PARTS: splits, WORKGROUP: COMBINE_WORKGROUP },
    bindings: { parts, bias, residual, y },
    grid: [divCeil(shard.rows, COMBINE_WORKGROUP), groupsOf(rows, 1)],
  });
}

function tileDispatch(
  call: MatmulCall,
  { threads: [x, y], high, wide, slab4 }: Tile,
): { readonly slots: Slots; readonly grid: ReturnType<typeof quadDispatch>['grid'] } {
  const { slots, grid } = quadDispatch(call, x * wide, 4 * y * high);
  return {
    slots: {
      ...slots,
      ...rowsSlots(call),
      THREADS_X: x,
      THREADS_Y: y,
      HIGH: high,
      WIDE: wide,
      SLAB4: slab4,
    },
    grid,
  };
}
