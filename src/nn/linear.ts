import type { DeviceTensor, Tensor } from '../gpu/tensor.ts';
import type { Activation } from '../kernels/activation.ts';
import { matmul, type MatmulOptions } from '../kernels/matmul.ts';
import type { Matrix } from '../kernels/matrix.ts';
import type { WeightScope } from '../weights/scope.ts';

/** x ↦ activation(x · weightᵀ + bias), plus `residual` where one is given. */
export type Linear = (x: Tensor, residual?: Tensor) => Tensor;

/**
 * A linear layer: `weight` [outDim, inDim] and, if asked for, `bias` [outDim] of the scope.
 *
 * @throws {WeightFileError} if a tensor is missing or has another shape
 */
export function linear(
  w: WeightScope,
  inDim: number,
  outDim: number,
  hasBias = false,
  activation?: Activation,
): Linear {
  const bias = hasBias ? w.vector({ bias: outDim }) : undefined;
  return apply(w.matrix({ weight: outDim }, inDim), { bias, activation });
}

/**
 * Several linear layers of one input as a single multiplication: the scope's sublayers, stacked in this order.
 * The result holds their outputs side by side.
 *
 * @param outDims - output size of each sublayer by its name, e.g. `{ gate_proj: 96, up_proj: 96 }`
 */
export function stackedLinear(
  w: WeightScope,
  inDim: number,
  outDims: Readonly<Record<string, number>>,
  hasBias = false,
  activation?: Activation,
): Linear {
  const named = (suffix: string): Readonly<Record<string, number>> =>
    Object.fromEntries(Object.entries(outDims).map(([name, n]) => [`${name}.${suffix}`, n]));
  const bias = hasBias ? w.vector(named('bias')) : undefined;
  return apply(w.matrix(named('weight'), inDim), { bias, activation });
}

/**
 * A head that shares the embedding's weight. Press & Wolf 2016, arXiv:1608.05859.
 *
 * @param options - `bias`: f32 [vocab], added to the logits; `scale`: factor on them before that
 */
export function tiedHead(
  embedding: { readonly weight: Matrix },
  options: { readonly bias?: DeviceTensor | undefined; readonly scale?: number | undefined } = {},
): Linear {
  return apply(embedding.weight, options);
}

function apply(weight: Matrix, options: Omit<MatmulOptions, 'residual'>): Linear {
  return (x, residual) => matmul(x, weight, { ...options, residual });
}
