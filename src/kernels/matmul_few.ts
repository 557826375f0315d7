/** Multiplication of few rows, as in decoding and speculation: the weight is read once. @module */
import type { DeviceFacts } from '../gpu/facts.ts';
import { defineKernel } from '../gpu/kernel.ts';
import type { Slots } from '../gpu/shader.ts';
import { capacityOf, type DeviceTensor } from '../gpu/tensor.ts';
import aloneSource from '../../shaders/matmul_few_alone.wgsl?raw';
import source from '../../shaders/matmul_few.wgsl?raw';
import {
  hasWholeBlocks,
  MATMUL_OPERANDS,
  matmulBindings,
  matmulCost,
  rowsSlots,
  type MatmulCall,
  type MatmulShape,
  type MatmulVariant,
  type MatmulVariants,
} from './matmul_call.ts';
import { dot4Variant } from './matmul_few_dot4.ts';
import { QUAD, quadDispatch, segmentLibrary, segmentWorkgroup } from './matmul_quads.ts';
import { blockElements, isQuantized } from './matrix.ts';
import { reducesBySubgroup } from './variants.ts';

const { x, ...OTHER_OPERANDS } = MATMUL_OPERANDS;
const BINDINGS = { x, normWeight: 'read', ...OTHER_OPERANDS } as const;

const few = defineKernel({
  name: 'matmul_few',
  source,
  bindings: { ...BINDINGS, counts: 'uniform' },
});
const alone = defineKernel({ name: 'matmul_few_alone', source: aloneSource, bindings: BINDINGS });

/** Most rows for which the kernels that read the weight once per step are used. */
export const FEW_ROWS = 8;

/** Rows of y that a thread computes at most where there is no bandwidth to save: more take another pass over the weight. */
const SOFTWARE_TILE = 4;
const ALONE_WORKGROUP = 8;

/**
 * Ways to multiply up to {@link FEW_ROWS} rows. `few_16x4`: 16 threads share out k for 4 columns. Long rows want more
 * threads, short ones fewer; more columns read x less often. `few_dot4_*` round x to 8 bits: an error of about 0.5 % of
 * the largest result, for those who asked for it (`OpenDeviceOptions.integerProducts`).
 */
export const FEW_VARIANTS: MatmulVariants = {
  few_8x4: fewVariant(8, 4),
  few_16x4: fewVariant(16, 4),
  few_32x4: fewVariant(32, 4),
  few_64x4: fewVariant(64, 4),
  few_8x8: fewVariant(8, 8),
  few_32x8: fewVariant(32, 8),
  few_alone: {
    kernel: 'matmul_few_alone',
    suits: (_facts, shape) => shape.rows === 1 && isQuantized(shape.form) && hasWholeBlocks(shape),
    fusesNorm: true,
    fusesGate: true,
    record: recordAlone,
  },
  few_dot4_8: dot4Variant(8, FEW_ROWS),
  few_dot4_32: dot4Variant(32, FEW_ROWS),
};

/** The variants to try, best first, where none has been measured. */
export function preferFew(facts: DeviceFacts, shape: MatmulShape): readonly string[] {
  // There `direct` does as well and compiles sooner.
  if (facts.hasSlowBarriers) return [];
  if (facts.isSoftware) return preferSoftware(shape);
  // Each thread should have some blocks of a row, and a segment lie within a subgroup if there are any.
  const blocks = shape.cols / blockElements(shape.form);
  const most = reducesBySubgroup(facts) ? facts.subgroupMinSize : 16;
  const lanes = [32, 16].find((size) => size <= most && 2 * size <= blocks) ?? 8;
  const others = ['few_8x4', 'few_16x4', 'few_32x4', 'few_64x4', 'few_32x8', 'few_8x8'];
  return [`few_${lanes}x4`, ...others, 'few_dot4_32', 'few_dot4_8'];
}

/** On a CPU what counts is the number of loads, not which threads read neighbouring words. */
function preferSoftware({ rows, form }: MatmulShape): readonly string[] {
  if (rows === 1) return isQuantized(form) ? ['few_alone', 'few_8x4'] : ['few_8x4', 'few_8x8'];
  return form === 'f32' ? ['lanes', 'few_8x8', 'few_8x4'] : ['lanes', 'few_8x4', 'few_8x8'];
}

function isFew(_facts: DeviceFacts, shape: MatmulShape): boolean {
  return shape.rows <= FEW_ROWS && hasWholeBlocks(shape);
}

function fewVariant(lanes: number, columns: number): MatmulVariant {
  return {
    kernel: 'matmul_few',
    suits: isFew,
    fusesNorm: true,
    fusesGate: true,
    record(call) {
      const { recorder, rows } = call;
      const quads = columns / QUAD;
      const workgroup = segmentWorkgroup(lanes) / quads;
      const tile = Math.min(capacityOf(rows), recorder.facts.isSoftware ? SOFTWARE_TILE : FEW_ROWS);
      const { slots, grid } = quadDispatch(call, (quads * workgroup) / lanes, tile);
      recorder.dispatch(few, {
        ...matmulCost(call),
        slots: {
          ...slots,
          ...rowsSlots(call),
          ...normSlots(call),
          WORKGROUP: workgroup,
          LANES: lanes,
          QUADS: quads,
          TILE: tile,
          SEGMENT: segmentLibrary(recorder.facts, lanes),
        },
        bindings: normBindings(call),
        grid,
      });
    },
  };
}

function recordAlone(call: MatmulCall): void {
  const { recorder } = call;
  const { slots, grid } = quadDispatch(call, ALONE_WORKGROUP, 1);
  const isSpread =
    reducesBySubgroup(recorder.facts) && recorder.facts.subgroupMinSize >= ALONE_WORKGROUP;
  recorder.dispatch(alone, {
    ...matmulCost(call),
    slots: {
      ...slots,
      ...normSlots(call),
      WORKGROUP: ALONE_WORKGROUP,
      SPREAD: isSpread ? 'lib/spread_subgroup.wgsl' : 'lib/spread_load.wgsl',
    },
    bindings: normBindings(call),
    grid,
  });
}

function normSlots({ options: { norm } }: MatmulCall): Slots {
  return { HAS_NORM: norm !== undefined, ...(norm && { EPSILON: norm.eps }) };
}

function normBindings(
  call: MatmulCall,
): ReturnType<typeof matmulBindings> & { readonly normWeight: DeviceTensor } {
  return { ...matmulBindings(call), normWeight: call.options.norm?.weight ?? call.x };
}
