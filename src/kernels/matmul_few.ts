/** Multiplication of few rows, as in decoding: the weight is read once. @module */
import type { DeviceFacts } from '../gpu/device.ts';
import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import { capacityOf } from '../gpu/tensor.ts';
import { divCeil } from '../util/arith.ts';
import source from '../../shaders/matmul_few.wgsl?raw';
import {
  hasWholeBlocks,
  MATMUL_OPERANDS,
  matmulBindings,
  matmulCost,
  matmulSlots,
  rowsSlot,
  type MatmulCall,
  type MatmulShape,
  type MatmulVariants,
} from './matmul_call.ts';
import { blockElements } from './matrix.ts';
import { blockLibrary, reduceLibrary } from './variants.ts';

const kernel = defineKernel({
  name: 'matmul_few',
  source,
  bindings: { ...MATMUL_OPERANDS, counts: 'uniform' },
});

/** Most rows for which the kernels that read the weight once per step are used. */
export const FEW_ROWS = 8;

/** Columns that a workgroup computes. */
const COLUMNS = 4;

/** Ways to multiply up to {@link FEW_ROWS} rows. */
export const FEW_VARIANTS: MatmulVariants = {
  few: {
    kernel: 'matmul_few',
    suits: (_facts, shape) => shape.rows <= FEW_ROWS && hasWholeBlocks(shape),
    record,
  },
};

/** The variants to try, best first, where none has been measured. */
export function preferFew(facts: DeviceFacts, _shape: MatmulShape): readonly string[] {
  return facts.hasSlowBarriers ? [] : ['few'];
}

function record(call: MatmulCall): void {
  const { recorder, matrix, shard, rows } = call;
  // Large vocabularies need more workgroups than fit along one axis.
  const groups = divCeil(shard.rows, COLUMNS);
  const across = Math.min(groups, recorder.facts.limits.maxComputeWorkgroupsPerDimension);
  recorder.dispatch(kernel, {
    ...matmulCost(call),
    slots: {
      ...matmulSlots(call),
      ROW_BLOCKS: matrix.cols / blockElements(matrix.form),
      ROWS: capacityOf(rows),
      ROW_COUNT: rowsSlot(call),
      ACROSS: across,
      WORKGROUP: matrix.cols > 128 ? 64 : 32,
      BLOCK: blockLibrary(matrix.form),
      REDUCE: reduceLibrary(recorder.facts),
    },
    bindings: matmulBindings(call),
    grid: [across, groupsOf(rows, capacityOf(rows)), divCeil(groups, across)],
  });
}
