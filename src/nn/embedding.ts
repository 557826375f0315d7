import type { DeviceTensor, Tensor } from '../gpu/tensor.ts';
import { embedding as lookUp } from '../kernels/embedding.ts';
import type { Matrix } from '../kernels/matrix.ts';
import { positionEmbedding, type PositionOptions } from '../kernels/position_embedding.ts';
import type { WeightScope } from '../weights/scope.ts';
import type { TokenStep } from './step.ts';

/** Token ids ↦ scaled rows of the embedding table, plus `add` where it is given; f32 [tokens, dim]. */
export interface Embedding {
  (tokens: Tensor, lastTokens: DeviceTensor, add?: Tensor): Tensor;
  readonly weight: Matrix;
}

/**
 * Token embedding: `weight` [vocab, dim] of the scope.
 *
 * @param options - `scale`: factor on every row
 */
export function embedding(
  w: WeightScope,
  vocab: number,
  dim: number,
  { scale }: { readonly scale?: number | undefined } = {},
): Embedding {
  const weight = w.as('end').matrix({ weight: vocab }, dim);
  const apply = (tokens: Tensor, lastTokens: DeviceTensor, add?: Tensor): Tensor =>
    lookUp(tokens, lastTokens, weight, { scale, add });
  return Object.assign(apply, { weight });
}

/**
 * Learned positions: `weight` [rows, dim] of the scope.
 *
 * @returns (x, step) ↦ x + the row of each token's position, f32 [T, dim]
 * @throws {ShapeError} if a row of the options is not in the table
 */
export function positions(
  w: WeightScope,
  rows: number,
  dim: number,
  options: PositionOptions,
): (x: Tensor, step: TokenStep) => Tensor {
  const weight = w.as('exact').matrix({ weight: rows }, dim);
  return (x, step) => positionEmbedding(x, step, weight, options);
}
