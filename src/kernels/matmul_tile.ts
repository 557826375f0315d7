/** Multiplication of many rows, as in prefill and encoders. @module */
import type { DeviceFacts } from '../gpu/device.ts';
import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import { capacityOf } from '../gpu/tensor.ts';
import directSource from '../../shaders/matmul_direct.wgsl?raw';
import tileSource from '../../shaders/matmul_tile.wgsl?raw';
import {
  hasWholeBlocks,
  MATMUL_OPERANDS,
  matmulBindings,
  matmulCost,
  matmulSlots,
  rowsSlot,
  type MatmulShape,
  type MatmulVariants,
} from './matmul_call.ts';
import { blockElements } from './matrix.ts';
import { blockLibrary } from './variants.ts';

const direct = defineKernel({
  name: 'matmul_direct',
  source: directSource,
  bindings: { ...MATMUL_OPERANDS, counts: 'uniform' },
});
const tile = defineKernel({
  name: 'matmul_tile',
  source: tileSource,
  bindings: { ...MATMUL_OPERANDS, counts: 'uniform' },
});

const TILE = 64;
/** Rows and columns of y that a thread of `direct` computes. */
const DIRECT_ROWS = 4;
const DIRECT_COLS = 8;
const DIRECT_WORKGROUP = 16;

/** Ways to multiply any number of rows. */
export const TILE_VARIANTS: MatmulVariants = {
  direct: {
    kernel: 'matmul_direct',
    suits: (_facts, shape) => hasWholeBlocks(shape),
    record(call) {
      const { recorder, matrix, shard, rows } = call;
      const ROWS = Math.min(capacityOf(rows), DIRECT_ROWS);
      recorder.dispatch(direct, {
        ...matmulCost(call),
        slots: {
          ...matmulSlots(call),
          ROW_BLOCKS: matrix.cols / blockElements(matrix.form),
          ROWS,
          COLS: DIRECT_COLS,
          ROW_COUNT: rowsSlot(call),
          WORKGROUP: DIRECT_WORKGROUP,
          BLOCK: blockLibrary(matrix.form),
        },
        bindings: matmulBindings(call),
        grid: [groupsOf(shard.rows, DIRECT_WORKGROUP * DIRECT_COLS), groupsOf(rows, ROWS)],
      });
    },
  },
  tile: {
    kernel: 'matmul_tile',
    suits: (_facts, shape) => hasWholeBlocks(shape),
    record(call) {
      const { recorder, matrix, shard, rows } = call;
      recorder.dispatch(tile, {
        ...matmulCost(call),
        slots: {
          ...matmulSlots(call),
          K4: matrix.cols / 4,
          ROW_COUNT: rowsSlot(call),
          BLOCK: blockLibrary(matrix.form),
        },
        bindings: matmulBindings(call),
        grid: [groupsOf(shard.rows, TILE), groupsOf(rows, TILE)],
      });
    },
  },
};

/** The variants to try, best first, where none has been measured. */
export function preferTile(facts: DeviceFacts, _shape: MatmulShape): readonly string[] {
  return facts.hasSlowBarriers ? ['direct'] : ['tile', 'direct'];
}
