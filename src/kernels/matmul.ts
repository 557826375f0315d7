import type { DeviceFacts } from '../gpu/device.ts';
import { defineKernel, groupsOf, type Bindings, type Kernel } from '../gpu/kernel.ts';
import { Recorder } from '../gpu/recorder.ts';
import type { Slots } from '../gpu/shader.ts';
import {
  capacityOf,
  expectRows,
  expectShape,
  type DeviceTensor,
  type Extent,
  type Tensor,
} from '../gpu/tensor.ts';
import { divCeil } from '../util/arith.ts';
import directSource from '../../shaders/matmul_direct.wgsl?raw';
import fewSource from '../../shaders/matmul_few.wgsl?raw';
import plainSource from '../../shaders/matmul_plain.wgsl?raw';
import tileSource from '../../shaders/matmul_tile.wgsl?raw';
import { activationSlot, type Activation } from './activation.ts';
import type { Matrix } from './matrix.ts';
import { isUsable, reduceLibrary, weightLibrary } from './variants.ts';

const OPERANDS = {
  x: 'read',
  weight: 'read',
  bias: 'read',
  residual: 'read',
  y: 'write',
} as const satisfies Bindings;

const plain = defineKernel({ name: 'matmul_plain', source: plainSource, bindings: OPERANDS });
const direct = defineKernel({
  name: 'matmul_direct',
  source: directSource,
  bindings: { ...OPERANDS, counts: 'uniform' },
});
const few = defineKernel({
  name: 'matmul_few',
  source: fewSource,
  bindings: { ...OPERANDS, counts: 'uniform' },
});
const tile = defineKernel({
  name: 'matmul_tile',
  source: tileSource,
  bindings: { ...OPERANDS, counts: 'uniform' },
});

/**
 * Which kernel multiplies. `plain` is the oracle and takes any size; `direct` has no barriers; `few` reads the weight
 * once for up to {@link FEW_ROWS} rows; `tile` stages both operands in workgroup memory.
 */
export type MatmulVariant = 'plain' | 'direct' | 'few' | 'tile';

/** Most rows for which the kernel that reads the weight once per step is used. */
export const FEW_ROWS = 8;

/** Columns that a workgroup of `few` computes. */
const FEW_COLUMNS = 4;
const TILE = 64;
const PLAIN_WORKGROUP = 64;
/** Rows and columns of y that a thread of `direct` computes. */
const DIRECT_ROWS = 4;
const DIRECT_COLS = 8;
const DIRECT_WORKGROUP = 16;

export interface MatmulOptions {
  /** Factor on the product. */
  readonly scale?: number | undefined;
  /** f32 [weight.rows], added to every row. */
  readonly bias?: DeviceTensor | undefined;
  /** Applied to the scaled product and bias. */
  readonly activation?: Activation | undefined;
  /** f32 [rows, weight.rows], added last. */
  readonly residual?: Tensor | undefined;
  /** Overrides the choice by shape; for tests. */
  readonly variant?: MatmulVariant;
}

/** The kernel for `rows` rows of `cols` elements on a device with these facts. */
export function chooseMatmul(
  facts: Pick<DeviceFacts, 'hasSlowBarriers' | 'dropped'>,
  rows: Extent,
  cols: number,
): MatmulVariant {
  if (cols % 4 !== 0) return 'plain';
  const fastest = capacityOf(rows) <= FEW_ROWS ? 'few' : 'tile';
  if (!facts.hasSlowBarriers && isUsable(facts, `matmul_${fastest}`)) return fastest;
  return isUsable(facts, 'matmul_direct') ? 'direct' : 'plain';
}

/**
 * Multiplies rows by a weight matrix: y = activation(scale · x · weightᵀ + bias) + residual.
 *
 * @param x - f32 [rows, weight.cols]
 * @param weight - [outputs, inputs], f32, f16 or bf16
 * @returns f32 [rows, weight.rows]; products accumulate in f32
 * @throws {ShapeError} if an operand does not fit the weight
 */
export function matmul(x: Tensor, weight: Matrix, options: MatmulOptions = {}): Tensor {
  const rows = expectRows('matmul: x', x, 'f32', weight.cols);
  const { recorder } = x;
  const { scale = 1, bias, activation, residual } = options;
  const variant = options.variant ?? chooseMatmul(recorder.facts, rows, weight.cols);
  if (bias !== undefined) expectShape('matmul: bias', bias, 'f32', [weight.rows]);
  if (residual !== undefined) {
    expectShape('matmul: residual', residual, 'f32', [rows, weight.rows]);
  }

  const y = recorder.scratch('f32', [rows, weight.rows]);
  for (const shard of weight.shards) {
    const bindings = { x, weight: shard.tensor, bias: bias ?? x, residual: residual ?? x, y };
    const slots: Slots = {
      N: shard.rows,
      N_FIRST: shard.firstRow,
      N_TOTAL: weight.rows,
      SCALE: scale,
      HAS_BIAS: bias !== undefined,
      ...(activation && { HAS_ACTIVATION: true, ACTIVATION: activationSlot(activation) }),
      HAS_RESIDUAL: residual !== undefined,
      WEIGHT: weightLibrary(recorder.facts, weight.dtype),
    };
    const { kernel, extra, grid } = configure(variant, recorder, rows, weight.cols, shard.rows);
    recorder.dispatch(kernel, { slots: { ...slots, ...extra }, bindings, grid });
  }
  return y;
}

interface Configuration {
  readonly kernel: Kernel<typeof OPERANDS>;
  readonly extra: Slots;
  readonly grid: Parameters<Recorder['dispatch']>[1]['grid'];
}

function configure(
  variant: MatmulVariant,
  recorder: Recorder,
  rows: Extent,
  cols: number,
  outputs: number,
): Configuration {
  const ROW_COUNT = Recorder.rowsSlot(rows);
  switch (variant) {
    case 'plain':
      return {
        kernel: plain,
        extra: { K: cols, WORKGROUP: PLAIN_WORKGROUP },
        grid: [groupsOf(outputs, PLAIN_WORKGROUP), groupsOf(rows, 1)],
      };
    case 'direct': {
      const ROWS = Math.min(capacityOf(rows), DIRECT_ROWS);
      return {
        kernel: direct,
        extra: { K4: cols / 4, ROWS, COLS: DIRECT_COLS, ROW_COUNT, WORKGROUP: DIRECT_WORKGROUP },
        grid: [groupsOf(outputs, DIRECT_WORKGROUP * DIRECT_COLS), groupsOf(rows, ROWS)],
      };
    }
    case 'few': {
      // Large vocabularies need more workgroups than fit along one axis.
      const groups = divCeil(outputs, FEW_COLUMNS);
      const across = Math.min(groups, recorder.facts.limits.maxComputeWorkgroupsPerDimension);
      return {
        kernel: few,
        extra: {
          K4: cols / 4,
          ROWS: capacityOf(rows),
          ROW_COUNT,
          ACROSS: across,
          WORKGROUP: cols > 128 ? 64 : 32,
          REDUCE: reduceLibrary(recorder.facts),
        },
        grid: [across, groupsOf(rows, capacityOf(rows)), divCeil(groups, across)],
      };
    }
    case 'tile':
      return {
        kernel: tile,
        extra: { K4: cols / 4, ROW_COUNT },
        grid: [groupsOf(outputs, TILE), groupsOf(rows, TILE)],
      };
  }
}
