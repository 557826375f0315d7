import type { DeviceTensor, Tensor } from '../gpu/tensor.ts';
import { addLayerNorm, layerNorm as normalizeLayer } from '../kernels/layer_norm.ts';
import { rmsNorm as normalize } from '../kernels/rms_norm.ts';
import type { WeightScope } from '../weights/scope.ts';

/** x ↦ norm(x). With `delta`, x becomes x + delta in place first: a residual connection and the norm after it. */
export type Norm = (x: Tensor, delta?: Tensor) => Tensor;

/** x ↦ x / √(mean(x²) + eps) ⊙ weight, by itself or as part of a multiplication (`MatmulOptions.norm`). */
export interface RmsNorm {
  (x: Tensor): Tensor;
  /** f32 [dim] */
  readonly weight: DeviceTensor;
  readonly eps: number;
}

/** Root mean square norm: `weight` [dim] of the scope. Zhang & Sennrich 2019, arXiv:1910.07467. */
export function rmsNorm(w: WeightScope, dim: number, eps: number): RmsNorm {
  const weight = w.vector({ weight: dim });
  return Object.assign((x: Tensor) => normalize(x, weight, eps), { weight, eps });
}

/**
 * Layer norm: `weight` and, unless `hasBias` is false, `bias` of the scope, both [dim]. Files written by TensorFlow
 * call them `gamma` and `beta`. Ba et al. 2016, arXiv:1607.06450.
 */
export function layerNorm(w: WeightScope, dim: number, eps: number, hasBias = true): Norm {
  const vector = (name: string, legacy: string) =>
    w.vector({ [w.has(legacy) && !w.has(name) ? legacy : name]: dim });
  const weight = vector('weight', 'gamma');
  const bias = hasBias ? vector('bias', 'beta') : undefined;
  return (x, delta) =>
    delta === undefined
      ? normalizeLayer(x, weight, bias, eps)
      : addLayerNorm(x, delta, weight, bias, eps);
}
