import type { Tensor } from '../gpu/tensor.ts';
import { attention } from '../kernels/attention.ts';
import { ropeAppend } from '../kernels/rope_append.ts';
import type { Step } from './step.ts';

export interface SelfAttentionConfig {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly rotaryDim: number;
  /** Keys a token sees, itself included; all before it if absent. */
  readonly window: number | undefined;
}

/**
 * Causal self-attention over the paged cache: rotates queries and keys, stores keys and values, attends.
 *
 * @returns (qkv, step) ↦ f32 [T, heads · headDim], for qkv f32 [T, (heads + 2 kvHeads) · headDim]
 */
export function pagedAttention(
  config: SelfAttentionConfig,
  layer: number,
): (qkv: Tensor, step: Step) => Tensor {
  const { heads, kvHeads, headDim, rotaryDim, window } = config;
  const scale = headDim ** -0.5;

  return (qkv, step) => {
    const kv = step.kv(layer);
    const shape = { heads, kvHeads, headDim, rotaryDim, interleaved: false };
    const queries = ropeAppend(qkv, step.rotary[0], step.attention, kv, shape);
    return attention(queries, step.attention, kv, { heads, scale, window });
  };
}
