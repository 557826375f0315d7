import type { Tensor } from '../gpu/tensor.ts';
import { addRmsNorm, rmsNorm as normalize } from '../kernels/rms_norm.ts';
import type { WeightScope } from '../weights/scope.ts';

/** x ↦ norm(x). With `delta`, x becomes x + delta in place first: a residual connection and the norm after it. */
export type Norm = (x: Tensor, delta?: Tensor) => Tensor;

/** Root mean square norm: `weight` [dim] of the scope. Zhang & Sennrich 2019, arXiv:1910.07467. */
export function rmsNorm(w: WeightScope, dim: number, eps: number): Norm {
  const weight = w.vector({ weight: dim });
  return (x, delta) =>
    delta === undefined ? normalize(x, weight, eps) : addRmsNorm(x, delta, weight, eps);
}
