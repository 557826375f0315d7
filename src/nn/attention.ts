import type { Tensor } from '../gpu/tensor.ts';
import { attention, type RelativeBias } from '../kernels/attention.ts';
import { padHeads } from '../kernels/pad_heads.ts';
import { ropeAppend } from '../kernels/rope_append.ts';
import type { Step, TokenStep } from './step.ts';

export interface SelfAttentionConfig {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Dims of a head that are rotated; 0 for none. */
  readonly rotaryDim: number;
  /** Which of `TokenStep.rotary` rotates them; default 0. */
  readonly rope?: number;
  /** Whether a token sees none after it, as in decoders; default true. */
  readonly causal?: boolean;
  /**
   * How far a token sees; as far as there are others if absent. Causal: the keys it sees, itself included. Else: the
   * largest distance, to both sides.
   */
  readonly window: number | undefined;
  /** Factor on the scores; default headDim^-½. */
  readonly scale?: number;
  /** Added to the scaled scores. */
  readonly bias?: RelativeBias | undefined;
}

/**
 * Self-attention over the paged cache: rotates queries and keys, stores keys and values, attends.
 *
 * @returns (qkv, step) ↦ f32 [T, heads · headDim], for qkv f32 [T, (heads + 2 kvHeads) · headDim]
 */
export function pagedAttention(
  config: SelfAttentionConfig,
  layer: number,
): (qkv: Tensor, step: TokenStep) => Tensor {
  const { heads, kvHeads, headDim, rotaryDim, rope = 0, causal, window, bias } = config;
  const { scale = headDim ** -0.5 } = config;
  // An encoder's sequences are many or long: no keys are cut into pieces, and no room is kept for them.
  const pieces = causal === false ? { maxSplits: 1 } : {};
  const options = { heads, scale, causal, window, bias, ...pieces };

  return (qkv, step) => {
    const kv = step.kv(layer);
    const shape = { heads, kvHeads, headDim, rotaryDim, interleaved: false };
    const queries = ropeAppend(qkv, step.rotary[rope], step.attention, kv, shape);
    return attention(queries, step.attention, kv, options);
  };
}

export interface CrossAttentionConfig {
  readonly heads: number;
  readonly headDim: number;
  /** Factor on the scores; default headDim^-½. */
  readonly scale?: number;
}

/**
 * Attention to an encoder's result, whose keys and values are stored already (`Seq2SeqModel.storeCross`).
 *
 * @returns (q, step) ↦ f32 [T, heads · headDim], for q f32 [T, heads · headDim]; throws a plain Error for a step
 *   that has no encoder's result
 */
export function crossAttention(
  { heads, headDim, scale = headDim ** -0.5 }: CrossAttentionConfig,
  layer: number,
): (q: Tensor, step: Step) => Tensor {
  return (q, step) => {
    if (step.cross === undefined) {
      throw new Error('cross-attention: the step has no `cross`, expected that of an encoder');
    }
    const queries = padHeads(q, heads, headDim);
    return attention(queries, step.cross, step.kv(layer), { heads, scale, causal: false });
  };
}
