import type { DeviceTensor, Tensor } from '../gpu/tensor.ts';
import type { AttentionState } from '../kernels/attention.ts';
import type { KvLayer } from '../kernels/kv_cache.ts';

/**
 * One batch of tokens to run: T tokens of S sequences, flattened without padding; prefill, chunked prefill
 * and decode mixed. Everything here is read from GPU memory when the step runs.
 */
export interface Step {
  /** u32 [T], ids or references to ids sampled before. */
  readonly tokens: Tensor;
  /** u32 [slots], the id sampled last in each slot. */
  readonly lastTokens: DeviceTensor;
  /** u32 [N], rows of the step whose logits are asked for. */
  readonly sampleRows: Tensor;
  /** f32 [T, rotaryDim / 2, 2], cos and sin per token; for models with rotary positions. */
  readonly rotary: Tensor;
  /** Which sequence each token belongs to, and where its keys and values lie. */
  readonly attention: AttentionState;
  /** One layer's pages of the KV cache. */
  kv(layer: number): KvLayer;
  /** Names a value for inspection (`quern parity`); costs nothing unless somebody asked for it. */
  tap(name: string, value: Tensor): Tensor;
}
