/** Multiplication of few rows by weights of 8 or 4 bits in integers: x is rounded to 8 bits first. @module */
import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import { capacityOf, type Tensor } from '../gpu/tensor.ts';
import source from '../../shaders/matmul_few_dot4.wgsl?raw';
import quantizeSource from '../../shaders/quantize_rows.wgsl?raw';
import {
  hasWholeBlocks,
  MATMUL_OPERANDS,
  matmulBindings,
  matmulCost,
  rowsSlots,
  type MatmulCall,
  type MatmulVariant,
} from './matmul_call.ts';
import { quadDispatch, segmentLibrary, segmentWorkgroup } from './matmul_quads.ts';
import { isQuantized, QUANT_GROUP } from './matrix.ts';
import { reduceLibrary } from './variants.ts';

const quantize = defineKernel({
  name: 'quantize_rows',
  source: quantizeSource,
  bindings: { x: 'read', normWeight: 'read', q: 'write', groups: 'write' },
});

const { x: _x, ...OTHER_OPERANDS } = MATMUL_OPERANDS;
const kernel = defineKernel({
  name: 'matmul_few_dot4',
  source,
  bindings: { q: 'read', groups: 'read', ...OTHER_OPERANDS, counts: 'uniform' },
});

const QUANTIZE_WORKGROUP = 32;

/** Up to `mostRows` rows with `lanes` threads for four columns. */
export function dot4Variant(lanes: number, mostRows: number): MatmulVariant {
  return {
    kernel: 'matmul_few_dot4',
    suits: (facts, shape) =>
      facts.hasDot4 && shape.rows <= mostRows && isQuantized(shape.form) && hasWholeBlocks(shape),
    fusesNorm: true,
    fusesGate: true,
    record(call) {
      const { recorder, matrix, rows } = call;
      const workgroup = segmentWorkgroup(lanes);
      const { slots, grid } = quadDispatch(call, workgroup / lanes, capacityOf(rows));
      const { x: _, ...operands } = matmulBindings(call);
      recorder.dispatch(kernel, {
        ...matmulCost(call),
        slots: {
          ...slots,
          ...rowsSlots(call),
          WORKGROUP: workgroup,
          LANES: lanes,
          INTEGERS: `lib/integers_${matrix.form}.wgsl`,
          SEGMENT: segmentLibrary(recorder.facts, lanes),
        },
        bindings: { ...quantizeRows(call), ...operands },
        grid,
      });
    },
  };
}

/** Rows of x, normalized if asked for, as 8-bit integers and a scale for every {@link QUANT_GROUP}. */
function quantizeRows({ recorder, x, matrix, rows, options: { norm } }: MatmulCall): {
  readonly q: Tensor;
  readonly groups: Tensor;
} {
  const q = recorder.scratch('u32', [rows, matrix.cols / 4]);
  const groups = recorder.scratch('f32', [rows, matrix.cols / QUANT_GROUP, 2]);
  recorder.dispatch(quantize, {
    slots: {
      K4: matrix.cols / 4,
      HAS_NORM: norm !== undefined,
      ...(norm && { EPSILON: norm.eps }),
      WORKGROUP: QUANTIZE_WORKGROUP,
      REDUCE: reduceLibrary(recorder.facts),
    },
    bindings: { x, normWeight: norm?.weight ?? x, q, groups },
    grid: [groupsOf(matrix.cols / QUANT_GROUP, QUANTIZE_WORKGROUP), groupsOf(rows, 1)],
  });
  return { q, groups };
}
