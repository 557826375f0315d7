import type { DeviceTensor, Tensor } from '../gpu/tensor.ts';
import type { Activation } from '../kernels/activation.ts';
import { matmul, type MatmulOptions } from '../kernels/matmul.ts';
import type { Matrix } from '../kernels/matrix.ts';
import type { WeightScope } from '../weights/scope.ts';
import type { RmsNorm } from './norm.ts';

/** x ↦ activation(norm(x) · weightᵀ + bias), plus `residual` where one is given. */
export type Linear = (x: Tensor, residual?: Tensor) => Tensor;

export interface LinearOptions {
  /** Whether the scope has a `bias` for each `weight`; default false. */
  readonly bias?: boolean;
  /** Normalizes the input; kernels of few rows do it as they multiply. */
  readonly norm?: RmsNorm;
  readonly activation?: Activation | undefined;
}

/**
 * A linear layer: `weight` [outDim, inDim] and, if asked for, `bias` [outDim] of the scope.
 *
 * @throws {WeightFileError} if a tensor is missing or has another shape
 */
export function linear(
  w: WeightScope,
  inDim: number,
  outDim: number,
  { bias = false, ...options }: LinearOptions = {},
): Linear {
  const vector = bias ? w.vector({ bias: outDim }) : undefined;
  return apply(w.matrix({ weight: outDim }, inDim), { ...options, bias: vector });
}

/**
 * Several linear layers of one input as a single multiplication: the scope's sublayers, stacked in this order.
 * The result holds their outputs side by side.
 *
 * @param outDims - output size of each sublayer by its name, e.g. `{ q_proj: 96, k_proj: 32, v_proj: 32 }`
 */
export function stackedLinear(
  w: WeightScope,
  inDim: number,
  outDims: Readonly<Record<string, number>>,
  options: LinearOptions = {},
): Linear {
  return apply(...stack(w, inDim, outDims, options));
}

/**
 * Gated linear unit of two layers of one input: x ↦ activation(gate(norm(x))) ⊙ up(norm(x)). Shazeer 2020,
 * arXiv:2002.05202.
 *
 * @param outDims - output size of both by their names in the scope, the gate first, e.g. `{ gate_proj: 96, up_proj: 96 }`
 */
export function gatedLinear(
  w: WeightScope,
  inDim: number,
  outDims: Readonly<Record<string, number>>,
  activation: Activation,
  options: Omit<LinearOptions, 'activation'> = {},
): (x: Tensor) => Tensor {
  const [weight, rest] = stack(w, inDim, outDims, options);
  return apply(weight, { ...rest, gate: activation });
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

function stack(
  w: WeightScope,
  inDim: number,
  outDims: Readonly<Record<string, number>>,
  { bias = false, ...options }: LinearOptions,
): [Matrix, MatmulOptions] {
  const named = (suffix: string): Readonly<Record<string, number>> =>
    Object.fromEntries(Object.entries(outDims).map(([name, n]) => [`${name}.${suffix}`, n]));
  const vector = bias ? w.vector(named('bias')) : undefined;
  return [w.matrix(named('weight'), inDim), { ...options, bias: vector }];
}

function apply(weight: Matrix, options: Omit<MatmulOptions, 'residual'>): Linear {
  return (x, residual) => matmul(x, weight, { ...options, residual });
}
