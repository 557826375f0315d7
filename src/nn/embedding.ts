import type { DeviceTensor, Tensor } from '../gpu/tensor.ts';
import { embedding as lookUp } from '../kernels/embedding.ts';
import type { Matrix } from '../kernels/matrix.ts';
import type { WeightScope } from '../weights/scope.ts';

/** Token ids ↦ rows of the embedding table, f32 [tokens, dim]. */
export interface Embedding {
  (tokens: Tensor, lastTokens: DeviceTensor): Tensor;
  readonly weight: Matrix;
}

/** Token embedding: `weight` [vocab, dim] of the scope. */
export function embedding(w: WeightScope, vocab: number, dim: number): Embedding {
  const weight = w.matrix({ weight: vocab }, dim);
  const apply = (tokens: Tensor, lastTokens: DeviceTensor): Tensor =>
    lookUp(tokens, lastTokens, weight);
  return Object.assign(apply, { weight });
}
