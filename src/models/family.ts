import type { Tensor } from '../gpu/tensor.ts';
import type { RopeConfig } from '../nn/rope.ts';
import type { EncoderStep, Step } from '../nn/step.ts';
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

/** What every network tells about the tokens it takes. */
export interface TokenModel {
  readonly kv: KvSpec;
  /** Its rotary embeddings, in the order of `TokenStep.rotary`; none in most encoders. */
  readonly ropes: readonly RopeConfig[];
  readonly vocab: number;
  /** Longest sequence the model was made for, in tokens; Infinity where positions are relative. */
  readonly maxPositions: number;
  /**
   * Id that learned positions do not count, as RoBERTa and M2M100 do not count padding: the i-th other token of a
   * sequence is at place i - 1. Absent: every token counts.
   */
  readonly uncountedId?: number | undefined;
}

/** A decoder whose weights have GPU memory. */
export interface Decoder extends TokenModel {
  /** Records one step and returns the logits of its sample rows, f32 [N, vocab]. */
  forward(step: Step): Tensor;
}

/** A value that an encoder can be asked for. */
export interface EncoderOutput {
  /** One row per token, or one per sequence. */
  readonly per: 'token' | 'sequence';
  /** Numbers in a row. */
  readonly size: number;
  /** Names of the columns where the reference hands them out one by one, e.g. `start_logits`, `end_logits`. */
  readonly columns?: readonly string[];
  /** @param hidden - the encoder's result, f32 [T, dim]; @returns f32 [T or S, size] */
  compute(hidden: Tensor, step: EncoderStep): Tensor;
}

/** An encoder whose weights have GPU memory. `kv.layers` is 1: its keys and values live for one layer only. */
export interface EncoderModel extends TokenModel {
  /** Width of the residual stream. */
  readonly dim: number;
  /** Token types the model knows; 0 or 1 where it does not tell texts of a pair apart. */
  readonly tokenTypes: number;
  /** Records one step without the heads: f32 [T, dim]. */
  encode(step: EncoderStep): Tensor;
  /**
   * What can be asked for, under the names of Transformers' outputs: `last_hidden_state`, `pooler_output`, `logits`.
   * `last_hidden_state` is always there.
   */
  readonly outputs: Readonly<Record<string, EncoderOutput>>;
  /** Names of the classes of a classification head, in the order of its logits. */
  readonly labels?: readonly string[] | undefined;
}

/** An encoder and a decoder that attends to what it made. */
export interface Seq2SeqModel {
  readonly encoder: EncoderModel;
  /** Its `Step.cross` is there in every step. */
  readonly decoder: Decoder;
  /**
   * Computes the decoder's cross-attention keys and values of every layer from the encoder's result, and stores them
   * in the pages of `cross`: entry s is where the keys and values of sequence s of `step` belong.
   *
   * @param hidden - the encoder's result, f32 [T, dim]
   */
  storeCross(hidden: Tensor, step: EncoderStep, cross: CrossPages): void;
}

/** Where an encoder's sequences have their pages among the decoder's. */
export interface CrossPages {
  /** As `TokenStep.attention`, with the block tables of the cross-attention pages. */
  readonly attention: EncoderStep['attention'];
  kv(layer: number): ReturnType<EncoderStep['kv']>;
}

/** The models that share one network. */
export interface Family<Model> {
  /** `model_type` values of config.json that this family runs. */
  readonly modelTypes: readonly string[];
  /** Its attention tells tokens apart by their distance, with kernels of its own. */
  readonly usesDistances?: boolean;
  /**
   * Reads the configuration and asks for the weights.
   *
   * @throws {ConfigError} if a key is missing or absurd, or the checkpoint lacks the head that it names
   * @throws {WeightFileError} if a tensor is missing or does not fit the configuration
   */
  load(config: ConfigReader, weights: WeightScope): Model;
}

export type DecoderFamily = Family<Decoder>;
export type EncoderFamily = Family<EncoderModel>;
export type Seq2SeqFamily = Family<Seq2SeqModel>;

/** What a network does: continue a text, turn a text into vectors, or turn one text into another. */
export interface Models {
  readonly decoder: Decoder;
  readonly encoder: EncoderModel;
  readonly seq2seq: Seq2SeqModel;
}
export type ModelKind = keyof Models;
