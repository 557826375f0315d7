/** What an encoder offers, and how it is loaded. @module */
import type { DecodeOptions, EncodeOptions } from '../tokenizer/tokenizer.ts';
import type { EngineStats, LoadOptions, LocalLoadOptions, WeightsReport } from './api.ts';
import type { EngineLimits } from './limits.ts';

/** A model that turns texts into vectors and labels, such as BERT, on the GPU. Made by `Encoder.load`. */
export interface Encoder {
  /**
   * Encodes one text, or several together. Texts may be of any lengths: they are laid end to end, so a batch costs the
   * sum of its tokens. What a text gives does not depend on what it is encoded with.
   *
   * @throws {RequestError} if an input or option is invalid, a text is longer than the model can take and
   *   `truncate` is not set, or an output is asked for that the checkpoint has no head for
   * @throws {DeviceLostError} if the GPU is lost for good meanwhile
   * @throws {DisposedError} if the encoder is disposed
   * @throws `options.signal.reason` when aborted
   */
  encode(input: EncoderInput, options?: EncodingOptions): Promise<Encoding>;
  encode(inputs: readonly EncoderInput[], options?: EncodingOptions): Promise<Encoding[]>;
  encode(
    inputs: EncoderInput | readonly EncoderInput[],
    options?: EncodingOptions,
  ): Promise<Encoding | Encoding[]>;
  /** Text to token ids, with what the model expects round it unless told otherwise. */
  tokenize(text: string, options?: EncodeOptions): Promise<number[]>;
  /** Token ids to text. @throws {RequestError} if an id is not a non-negative integer */
  detokenize(ids: readonly number[], options?: DecodeOptions): Promise<string>;
  /** Model, adapter, memory, and what has been done so far. */
  stats(): Promise<EncoderStats>;
  /** Frees the GPU. Texts under way end with {@link DisposedError}. May be called at any time, also twice. */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A text, a pair of texts (for sentence pairs, or a question and where to look for its answer), or token ids as they are. */
export type EncoderInput =
  | string
  | { readonly text: string; readonly pair?: string }
  | { readonly ids: readonly number[]; readonly typeIds?: readonly number[] };

/** How a text is made into one vector; each is f32 [dim]. */
export type Pooling = 'mean' | 'first' | 'pooler';

export interface EncodingOptions {
  /**
   * One vector per text: the mean of its tokens' last hidden states, that of the first token (`[CLS]`), or what the
   * model's own pooler makes of it. Where neither this nor `outputs` is given, a repository of sentence-transformers
   * says what it is.
   */
  readonly pooling?: Pooling;
  /** Scales the vector of `pooling` to length 1. Default false, or what the repository says with its pooling. */
  readonly normalize?: boolean;
  /**
   * Outputs to return, by Transformers' names: `last_hidden_state`, `pooler_output`, `logits`, `start_logits`, …
   * Default: none where there is a `pooling`, else those of the checkpoint's head, or `last_hidden_state` if it has none.
   */
  readonly outputs?: readonly string[];
  /** Tokens whose rows are returned: all, or the mask tokens only (to fill them in). Default `all`. */
  readonly rows?: 'all' | 'masked';
  /** Most tokens of an input; default: what the repository says, at most what the model takes. */
  readonly maxTokens?: number;
  /**
   * Cuts longer texts off at `maxTokens`, special tokens kept and of a pair the longer one first, and ids at their end;
   * else they are errors. Default false.
   */
  readonly truncate?: boolean;
  readonly signal?: AbortSignal;
  /** Told how many of the texts are done, after each step in which some were. What it throws ends the call. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
}

/** What came of one text. */
export interface Encoding {
  /** Token ids of the text, special tokens included. */
  readonly ids: readonly number[];
  /** f32 [dim], where there is a `pooling`. */
  readonly vector?: Float32Array;
  /** The outputs asked for, by name. */
  readonly outputs: Readonly<Record<string, EncodingOutput>>;
  /** Tokens that the rows of outputs per token belong to, where they are not all of `ids`. */
  readonly positions?: readonly number[];
}

/** Numbers in rows: one per token, or one for the text. */
export interface EncodingOutput {
  /** f32 [rows, size] */
  readonly data: Float32Array;
  readonly rows: number;
  readonly size: number;
}

/** Sizes an encoder is set up with; all optional. */
export interface EncoderLoadLimits {
  /** Most tokens computed in one step, default 2048, or 256 on software adapters; a longer text is alone in its step. */
  readonly tokenBudget?: number;
  /** Steps submitted before the first one's results are read, default 2. */
  readonly maxInFlight?: number;
}

/** Options of an encoder that runs in the calling thread. */
export interface LocalEncoderOptions
  extends
    Omit<LocalLoadOptions, keyof EngineLimits | 'chatTemplate' | 'speculation'>,
    EncoderLoadLimits {}

export interface EncoderOptions extends LocalEncoderOptions, Pick<LoadOptions, 'worker'> {}

/** A snapshot of an encoder. */
export interface EncoderStats extends Pick<
  EngineStats,
  'adapter' | 'memory' | 'requests' | 'pipelines' | 'thread' | 'recoveries' | 'selfTest' | 'tuning'
> {
  readonly model: {
    readonly name: string;
    readonly modelType: string;
    readonly parameters: number;
    readonly weights: WeightsReport;
    readonly vocab: number;
    /** Numbers in a hidden state. */
    readonly dim: number;
    /** Longest text in tokens; null where the model sets no limit. */
    readonly maxTokens: number | null;
    /** What calls get that name neither `pooling` nor `outputs`, and texts whose call does not say `maxTokens`. */
    readonly defaults: {
      /** Missing: no vector. */
      readonly pooling?: Pooling;
      readonly normalize: boolean;
      readonly outputs: readonly string[];
      readonly maxTokens: number | null;
    };
    /** Names that `outputs` can ask for. */
    readonly outputs: readonly string[];
    /** Names of the classes of a classification head, in the order of its logits. */
    readonly labels?: readonly string[];
  };
  /** Since loading. */
  readonly totals: {
    readonly steps: number;
    readonly dispatches: number;
    /** Texts answered. */
    readonly texts: number;
    /** Tokens of those texts: what was computed, for nothing is padded. */
    readonly tokens: number;
  };
}
