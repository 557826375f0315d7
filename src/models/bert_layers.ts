/**
 * The parts that BERT and its relatives build on: summed embeddings, and layers that normalize after each residual
 * connection. Vaswani et al. 2017, arXiv:1706.03762; Devlin et al. 2018, arXiv:1810.04805.
 *
 * @module
 */
import type { Tensor } from '../gpu/tensor.ts';
import type { Activation } from '../kernels/activation.ts';
import type { PositionOptions } from '../kernels/position_embedding.ts';
import { embedding, positions, type Embedding } from '../nn/embedding.ts';
import { linear, stackedLinear, type Linear } from '../nn/linear.ts';
import { layerNorm } from '../nn/norm.ts';
import type { EncoderStep } from '../nn/step.ts';
import type { WeightScope } from '../weights/scope.ts';

export interface EmbeddingSizes {
  readonly vocab: number;
  readonly embeddingDim: number;
  /** Token types; 0 for no embedding of them. */
  readonly types: number;
  /** Table of learned positions, where there is one. */
  readonly positions: (PositionOptions & { readonly rows: number }) | undefined;
}

export interface SummedEmbeddings {
  readonly words: Embedding;
  /** f32 [T, embeddingDim], not normalized. */
  readonly sum: (step: EncoderStep) => Tensor;
}

/** E[token] + types[type] + positions[place]. */
export function summedEmbeddings(w: WeightScope, c: EmbeddingSizes): SummedEmbeddings {
  const words = embedding(w.at('word_embeddings'), c.vocab, c.embeddingDim);
  const types =
    c.types === 0 ? undefined : embedding(w.at('token_type_embeddings'), c.types, c.embeddingDim);
  const place =
    c.positions === undefined
      ? (x: Tensor) => x
      : positions(w.at('position_embeddings'), c.positions.rows, c.embeddingDim, c.positions);

  return {
    words,
    sum(step) {
      const type = types?.(step.typeIds, step.lastTokens);
      return place(words(step.tokens, step.lastTokens, type), step);
    },
  };
}

/** Where the weights of a layer are, below it. */
export interface LayerNames {
  /** Projections to queries, keys and values. */
  readonly qkv: readonly [string, string, string];
  readonly output: string;
  readonly attentionNorm: string;
  readonly up: string;
  readonly down: string;
  readonly norm: string;
}

export interface LayerSizes {
  readonly dim: number;
  readonly hiddenDim: number;
  readonly activation: Activation;
  readonly normEps: number;
}

/** One layer, f32 [T, dim] ↦ f32 [T, dim]. */
export type Layer = (h: Tensor, step: EncoderStep) => Tensor;

/** h ↦ [Wq·h, Wk·h, Wv·h], f32 [T, 3 dim] */
export function qkvProjection(w: WeightScope, names: LayerNames, { dim }: LayerSizes): Linear {
  const outDims = Object.fromEntries(names.qkv.map((name) => [name, dim]));
  return stackedLinear(w, dim, outDims, { bias: true });
}

/**
 * What follows the attention of a layer: h ← norm(h + Wo·a); h ← norm(h + W2·act(W1·h)).
 *
 * @returns (h, a) ↦ h, for the layer's input and the result of its heads, both f32 [T, dim]
 */
export function postNorm(
  w: WeightScope,
  names: LayerNames,
  c: LayerSizes,
): (h: Tensor, attended: Tensor) => Tensor {
  const output = linear(w.at(names.output), c.dim, c.dim, { bias: true });
  const attentionNorm = layerNorm(w.at(names.attentionNorm), c.dim, c.normEps);
  const up = linear(w.at(names.up), c.dim, c.hiddenDim, { bias: true, activation: c.activation });
  const down = linear(w.at(names.down), c.hiddenDim, c.dim, { bias: true });
  const norm = layerNorm(w.at(names.norm), c.dim, c.normEps);

  return (h, attended) => {
    const middle = attentionNorm(output(attended, h));
    return norm(down(up(middle), middle));
  };
}
