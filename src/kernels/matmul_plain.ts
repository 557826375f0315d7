import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import source from '../../shaders/matmul_plain.wgsl?raw';
import {
  MATMUL_OPERANDS,
  matmulBindings,
  matmulCost,
  matmulSlots,
  type MatmulVariant,
} from './matmul_call.ts';
import { weightLibrary } from './variants.ts';

const kernel = defineKernel({ name: 'matmul_plain', source, bindings: MATMUL_OPERANDS });

const WORKGROUP = 64;

/** One thread per element of the result: the oracle of the other kernels, and the path for any size. */
export const PLAIN: MatmulVariant = {
  kernel: 'matmul_plain',
  suits: () => true,
  record(call) {
    const { recorder, matrix, shard, rows } = call;
    recorder.dispatch(kernel, {
      ...matmulCost(call),
      slots: {
        ...matmulSlots(call),
        K: matrix.cols,
        WORKGROUP,
        WEIGHT: weightLibrary(matrix.form),
      },
      bindings: matmulBindings(call),
      grid: [groupsOf(shard.rows, WORKGROUP), groupsOf(rows, 1)],
    });
  },
};
