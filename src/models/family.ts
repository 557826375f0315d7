import type { Tensor } from '../gpu/tensor.ts';
import type { RopeConfig } from '../nn/rope.ts';
import type { Step } from '../nn/step.ts';
import type { WeightScope } from '../weights/scope.ts';
import type { ConfigReader } from './config.ts';

/** What one token costs in the KV cache, and how far back it is looked at. */
export interface KvSpec {
  readonly layers: number;
  /** Query heads, a multiple of `kvHeads`. */
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Keys a token sees, itself included; all before it if absent. */
  readonly window: number | undefined;
}

/** A decoder whose weights have GPU memory. */
export interface Decoder {
  readonly kv: KvSpec;
  readonly rope: RopeConfig;
  readonly vocab: number;
  /** Longest sequence the model was made for, in tokens. */
  readonly maxPositions: number;
  /** Records one step and returns the logits of its sample rows, f32 [N, vocab]. */
  forward(step: Step): Tensor;
}

/** The models that share one network. */
export interface DecoderFamily {
  /** `model_type` values of config.json that this family runs. */
  readonly modelTypes: readonly string[];
  /**
   * Reads the configuration and asks for the weights.
   *
   * @throws {ConfigError} if a key is missing or absurd
   * @throws {WeightFileError} if a tensor is missing or does not fit the configuration
   */
  load(config: ConfigReader, weights: WeightScope): Decoder;
}
