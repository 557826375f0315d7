import { bytesAt } from '../gpu/cost.ts';
import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import { Recorder } from '../gpu/recorder.ts';
import { expectRows, expectShape, sizeAt, type Tensor } from '../gpu/tensor.ts';
import { ShapeError } from '../util/errors.ts';
import source from '../../shaders/expert_matmul.wgsl?raw';
import { activationSlot, type Activation } from './activation.ts';
import { matrixBytes, type Matrix } from './matrix.ts';
import { weightLibrary } from './variants.ts';

const kernel = defineKernel({
  name: 'expert_matmul',
  source,
  bindings: {
    x: 'read',
    weight: 'read',
    scales: 'read',
    experts: 'read',
    rowScale: 'read',
    residual: 'read',
    y: 'write',
    counts: 'uniform',
  },
});

const WORKGROUP = 64;
/** Tokens among which a thread looks for those of its expert. */
const BLOCK = 64;

export interface ExpertMatmulOptions {
  /** How many matrices are stacked in the weight. */
  readonly experts: number;
  /** Applied to the product. */
  readonly activation?: Activation | undefined;
  /** f32 [rows], factor on each row after the activation. */
  readonly rowScale?: Tensor | undefined;
  /** f32 [rows, outputs], added last. */
  readonly residual?: Tensor | undefined;
}

/**
 * Multiplies each row by the matrix of its expert: y[t] = rowScale[t] · activation(W[experts[t]] · x[t]) + residual[t].
 *
 * @param x - f32 [rows, weight.cols]
 * @param weight - [experts · outputs, inputs] in any form: the experts' matrices one below the other
 * @param chosen - u32 [rows], each below `experts`
 * @returns f32 [rows, outputs]; products accumulate in f32
 * @throws {ShapeError} if an operand does not fit, or the weight's rows are no multiple of `experts`
 */
export function expertMatmul(
  x: Tensor,
  weight: Matrix,
  chosen: Tensor,
  { experts, activation, rowScale, residual }: ExpertMatmulOptions,
): Tensor {
  const rows = expectRows('expert_matmul: x', x, 'f32', weight.cols);
  expectShape('expert_matmul: experts', chosen, 'u32', [rows]);
  const outputs = weight.rows / experts;
  if (!Number.isInteger(outputs)) {
    throw new ShapeError(
      `expert_matmul: weight has ${weight.rows} rows, expected a multiple of ${experts} experts`,
    );
  }
  if (rowScale !== undefined) expectShape('expert_matmul: rowScale', rowScale, 'f32', [rows]);
  if (residual !== undefined) {
    expectShape('expert_matmul: residual', residual, 'f32', [rows, outputs]);
  }

  const { recorder } = x;
  const y = recorder.scratch('f32', [rows, outputs]);
  for (const shard of weight.shards) {
    recorder.dispatch(kernel, {
      slots: {
        K: weight.cols,
        N: outputs,
        FIRST_ROW: shard.firstRow,
        WEIGHT_ROWS: shard.rows,
        BLOCK,
        ROW_COUNT: Recorder.rowsSlot(rows),
        ...(activation && { HAS_ACTIVATION: true, ACTIVATION: activationSlot(activation) }),
        HAS_ROW_SCALE: rowScale !== undefined,
        HAS_RESIDUAL: residual !== undefined,
        WORKGROUP,
        WEIGHT: weightLibrary(weight.form),
      },
      bindings: {
        x,
        weight: shard.tensor,
        scales: shard.scales ?? x,
        experts: chosen,
        rowScale: rowScale ?? x,
        residual: residual ?? x,
        y,
      },
      grid: [groupsOf(outputs, WORKGROUP), experts, groupsOf(rows, BLOCK)],
      label: `${weight.form} ${outputs}x${weight.cols}`,
      cost({ counts }) {
        const count = sizeAt(rows, counts);
        // No more experts than rows can have been chosen; each shard holds its part of them.
        const part = shard.rows / weight.rows;
        const read = Math.min(count, experts) * matrixBytes(weight.form, outputs, weight.cols);
        const bytes = part * read + bytesAt(x, counts) + part * bytesAt(y, counts);
        return { bytes, flops: 2 * count * outputs * weight.cols * part };
      },
    });
  }
  return y;
}
