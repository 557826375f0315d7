import type { Recorder } from '../gpu/recorder.ts';
import type { DeviceTensor, Tensor } from '../gpu/tensor.ts';
import type { AttentionState } from '../kernels/attention.ts';
import type { KvLayer } from '../kernels/kv_cache.ts';

/**
 * One batch of tokens to run: T tokens of S sequences, flattened without padding. Everything here is read from GPU
 * memory when the step runs.
 */
export interface TokenStep {
  /** u32 [T], ids or references to ids sampled before. */
  readonly tokens: Tensor;
  /** u32 [slots], the id sampled last in each slot. */
  readonly lastTokens: DeviceTensor;
  /** u32 [T], place of each token as tables of learned positions count: from 0, before the table's own offset. */
  readonly positionIds: Tensor;
  /** f32 [T, rotaryDim / 2, 2], cos and sin per token, for each rotary embedding of the model. */
  readonly rotary: readonly Tensor[];
  /** Which sequence each token belongs to, and where its keys and values lie. */
  readonly attention: AttentionState;
  /** One layer's pages of the KV cache; of an encoder, the same pages for every layer. */
  kv(layer: number): KvLayer;
  /** Names a value for inspection (`quern parity`); costs nothing unless somebody asked for it. */
  tap(name: string, value: Tensor): Tensor;
}

/** A step of a decoder: prefill, chunked prefill and decode mixed. */
export interface Step extends TokenStep {
  /** u32 [N], rows of the step whose logits are asked for. */
  readonly sampleRows: Tensor;
  /** Where the keys and values of each sequence's encoder output lie, in the pages of the same layer. */
  readonly cross?: AttentionState | undefined;
}

/** A step of an encoder: whole sequences only, since every token sees the others. */
export interface EncoderStep extends TokenStep {
  /** u32 [T], token type of each token; 0 but for the second text of a pair. */
  readonly typeIds: Tensor;
  /** u32 [S], row of the first token of each sequence. */
  readonly firstRows: Tensor;
  /**
   * Values that depend on weights alone: computed the first time, then kept.
   *
   * @param key - the same object for the same values
   */
  once<T extends OncePart>(key: object, compute: (recorder: Recorder) => T): T;
}

/** Tensors of sizes known when recording, by name. */
export type OncePart = Readonly<Record<string, Tensor | undefined>>;
