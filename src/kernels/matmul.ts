import type { DeviceFacts } from '../gpu/facts.ts';
import type { Recorder } from '../gpu/recorder.ts';
import { capacityOf, expectRows, expectShape, type Extent, type Tensor } from '../gpu/tensor.ts';
import { ShapeError } from '../util/errors.ts';
import { gatedActivation } from './gated_activation.ts';
import {
  shapeOf,
  type MatmulOptions,
  type MatmulShape,
  type MatmulVariant,
  type MatmulVariants,
} from './matmul_call.ts';
import { FEW_ROWS, FEW_VARIANTS, preferFew } from './matmul_few.ts';
import { PLAIN } from './matmul_plain.ts';
import { preferTile, TILE_VARIANTS } from './matmul_tile.ts';
import { matrixBytes, type Matrix } from './matrix.ts';
import { rmsNorm } from './rms_norm.ts';
import { isUsable } from './variants.ts';

export { FEW_ROWS } from './matmul_few.ts';
export type { MatmulOptions } from './matmul_call.ts';

/** Every way to multiply, by name. `plain` is the oracle. */
export const MATMUL_VARIANTS: MatmulVariants = { plain: PLAIN, ...TILE_VARIANTS, ...FEW_VARIANTS };

/** What a measured choice is stored under. */
export function matmulKey({ rows, cols, outputs, form }: MatmulShape): string {
  // One choice for all numbers of many rows: in a batch of any size a row gives the same to the last bit.
  return `matmul ${form} ${outputs}x${cols}, ${rows <= FEW_ROWS ? rows : 'many'} rows`;
}

/** Names of the variants that can run a multiplication here, the one to use unmeasured first. */
export function matmulCandidates(facts: DeviceFacts, shape: MatmulShape): readonly string[] {
  const preferred = [
    ...(shape.rows <= FEW_ROWS ? preferFew(facts, shape) : []),
    ...preferTile(facts, shape),
  ];
  return [...new Set(preferred), 'plain'].filter((name) => {
    const variant = MATMUL_VARIANTS[name];
    return variant !== undefined && canRun(variant, facts, shape);
  });
}

/** Name of the variant that multiplies on a device with these facts. */
export function chooseMatmul(facts: DeviceFacts, shape: MatmulShape): string {
  const candidates = matmulCandidates(facts, shape);
  const tuned = facts.tuned.get(matmulKey(shape));
  return candidates.find((name) => name === tuned) ?? candidates[0] ?? 'plain';
}

function canRun(variant: MatmulVariant, facts: DeviceFacts, shape: MatmulShape): boolean {
  const { kernel, library } = variant;
  return (
    (kernel === 'matmul_plain' || isUsable(facts, kernel)) &&
    (library === undefined || isUsable(facts, library)) &&
    variant.suits(facts, shape)
  );
}

/**
 * Multiplies rows by a weight matrix: y = activation(scale · norm(x) · weightᵀ + bias) + residual.
 *
 * @param x - f32 [rows, weight.cols]
 * @param weight - [outputs, inputs] in any form
 * @returns f32 [rows, weight.rows], half as many columns with a gate; products accumulate in f32
 * @throws {ShapeError} if an operand does not fit the weight, or the variant is unknown or cannot do it
 */
export function matmul(x: Tensor, weight: Matrix, options: MatmulOptions = {}): Tensor {
  const rows = expectRows('matmul: x', x, 'f32', weight.cols);
  checkOptions(weight, rows, options);
  const { recorder } = x;
  const { norm, gate } = options;
  const shape = shapeOf(rows, weight);
  const candidates = matmulCandidates(recorder.facts, shape);
  const bytes = matrixBytes(weight.form, weight.rows, weight.cols);
  const name =
    options.variant ??
    recorder.decide(matmulKey(shape), {
      candidates: worthMeasuring(candidates, shape),
      bytes,
      cost: bytes / shape.rows,
      rehearsals: [(r, variant) => rehearse(r, variant, rows, weight, options)],
    });
  const variant = MATMUL_VARIANTS[name];
  if (variant === undefined || !variant.suits(recorder.facts, shape)) {
    throw new ShapeError(
      `matmul: variant ${name} cannot multiply ${capacityOf(rows)} rows by ${weight.form} [${weight.rows}, ${weight.cols}], expected one of: ${candidates.join(', ')}`,
    );
  }
  if (norm !== undefined && variant.fusesNorm !== true) {
    const rest = { ...options, norm: undefined, variant: name };
    return matmul(rmsNorm(x, norm.weight, norm.eps), weight, rest);
  }
  const fusesGate = variant.fusesGate === true && shape.isWhole;
  if (gate !== undefined && !fusesGate) {
    const rest = { ...options, gate: undefined, variant: name };
    return gatedActivation(matmul(x, weight, rest), gate);
  }
  const y = recorder.scratch('f32', [rows, gate === undefined ? weight.rows : weight.rows / 2]);
  for (const shard of weight.shards) {
    variant.record({ recorder, x, matrix: weight, shard, y, rows, options });
  }
  return y;
}

/** Neither the oracle nor, for few rows, the kernels of many, where there are others: on large weights they take long. */
function worthMeasuring(candidates: readonly string[], { rows }: MatmulShape): readonly string[] {
  const table = rows <= FEW_ROWS ? FEW_VARIANTS : TILE_VARIANTS;
  const some = candidates.filter((name, i) => i === 0 || Object.hasOwn(table, name));
  return some.length > 1 ? some : candidates;
}

/** Rows that multiplications of many rows are measured with, whatever their number: all are to run the same kernel. */
const REHEARSED_ROWS = 256;
/** Bytes of their result, unless the step's is larger: heads of large vocabularies have few rows. */
const REHEARSED_BYTES = 2 ** 25;

function rehearsedRows(most: number, outputs: number): number {
  if (most <= FEW_ROWS) return most;
  const affordable = Math.floor(REHEARSED_BYTES / (4 * outputs));
  return Math.min(REHEARSED_ROWS, Math.max(most, affordable));
}

function rehearse(
  recorder: Recorder,
  variant: string,
  rows: Extent,
  weight: Matrix,
  options: MatmulOptions,
): { readonly inputs: readonly Tensor[]; readonly output: Tensor } {
  const count = rehearsedRows(capacityOf(rows), weight.rows);
  // A count where there was one, so that the pipelines are those of the step.
  const extent = typeof rows === 'number' ? count : { ...rows, capacity: count };
  const x = recorder.workspace('f32', [extent, weight.cols]);
  const residual =
    options.residual === undefined ? undefined : recorder.workspace('f32', [extent, weight.rows]);
  const output = matmul(x, weight, { ...options, residual, variant });
  return { inputs: residual === undefined ? [x] : [x, residual], output };
}

function checkOptions(
  weight: Matrix,
  rows: ReturnType<typeof expectRows>,
  { norm, bias, gate, activation, residual }: MatmulOptions,
): void {
  if (norm !== undefined) expectShape('matmul: norm', norm.weight, 'f32', [weight.cols]);
  if (bias !== undefined) expectShape('matmul: bias', bias, 'f32', [weight.rows]);
  if (residual !== undefined) {
    expectShape('matmul: residual', residual, 'f32', [rows, weight.rows]);
  }
  if (gate === undefined) return;
  if (weight.rows % 2 !== 0) {
    throw new ShapeError(`matmul: a gated weight has ${weight.rows} rows, expected an even number`);
  }
  if (activation !== undefined || residual !== undefined) {
    throw new ShapeError('matmul: gate with activation or residual, expected gate alone');
  }
}
