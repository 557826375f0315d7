/** What an encoder-decoder offers, and how it is loaded. @module */
import type { DecodeOptions, EncodeOptions } from '../tokenizer/tokenizer.ts';
import type { EngineStats, LoadOptions, LocalLoadOptions } from './api.ts';
import type { Seq2SeqLimits } from './limits.ts';

/** A model that turns one text into another, such as T5 or BART, on the GPU. Made by `Seq2Seq.load`. */
export interface Seq2Seq {
  /**
   * Generates from one input, or from several at once. Requests are batched with each other step by step; what one
   * gives does not depend on the others.
   *
   * With `stream: true` the promise resolves to chunks as they are made; leaving the loop over them cancels the rest. A
   * beam search has nothing to show before its end, so its sequences come whole.
   *
   * @throws {RequestError} if an input or option is invalid, or an input is longer than `inputLength` and `truncate` is
   *   not set
   * @throws {DeviceLostError} if the GPU is lost for good meanwhile; a stream ends with it
   * @throws {DisposedError} if the model is disposed
   * @throws `options.signal.reason` when aborted
   */
  generate(
    inputs: Seq2SeqInput | readonly Seq2SeqInput[],
    options: Seq2SeqParams & { readonly stream: true },
  ): Promise<AsyncIterableIterator<Seq2SeqChunk>>;
  generate(
    input: Seq2SeqInput,
    options?: Seq2SeqParams & { readonly stream?: false },
  ): Promise<Seq2SeqResult>;
  generate(
    inputs: readonly Seq2SeqInput[],
    options?: Seq2SeqParams & { readonly stream?: false },
  ): Promise<Seq2SeqResult[]>;
  /** Text to token ids, with what the model expects round it unless told otherwise. */
  tokenize(text: string, options?: EncodeOptions): Promise<number[]>;
  /** Token ids to text. @throws {RequestError} if an id is not a non-negative integer */
  detokenize(ids: readonly number[], options?: DecodeOptions): Promise<string>;
  /** Model, adapter, memory, and what has been done so far. */
  stats(): Promise<Seq2SeqStats>;
  /** Frees the GPU. Requests and streams end with {@link DisposedError}. May be called at any time, also twice. */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A text, or token ids as they are (with the EOS that the model expects). */
export type Seq2SeqInput = string | { readonly ids: readonly number[] };

/** How to generate, in the words of Transformers' `generate`; defaults are the model's generation_config.json. */
export interface Seq2SeqParams {
  /** Most tokens to generate, after the start token; default: `max_length` of the model, else until the context is full. */
  readonly max_new_tokens?: number;
  readonly min_new_tokens?: number;
  /** Decoder tokens to begin with instead of the start token, e.g. with the id of the target language. */
  readonly decoder_input_ids?: readonly number[];
  /** Samples instead of taking the most probable token. */
  readonly do_sample?: boolean;
  readonly temperature?: number;
  readonly top_k?: number;
  readonly top_p?: number;
  readonly min_p?: number;
  readonly seed?: number;
  /** Sequences that are kept at each step; 1 is greedy. Not together with `do_sample`. */
  readonly num_beams?: number;
  /** Beams to return, best first; at most `num_beams`. Default 1. */
  readonly num_return_sequences?: number;
  /** Power of the length that scores are divided by: above 0 favors long sequences. */
  readonly length_penalty?: number;
  /** When a beam search stops; see Transformers. */
  readonly early_stopping?: boolean | 'never';
  readonly repetition_penalty?: number;
  readonly no_repeat_ngram_size?: number;
  readonly bad_words_ids?: readonly (readonly number[])[];
  /** First generated token, e.g. the id of the target language; null: none. */
  readonly forced_bos_token_id?: number | null;
  /** Last token at the maximum length; null: none. */
  readonly forced_eos_token_id?: number | null;
  /** Cuts inputs off at the longest length; else longer ones are errors. Default false. */
  readonly truncate?: boolean;
  /** Leaves special tokens out of texts. Default true. */
  readonly skip_special_tokens?: boolean;
  readonly stream?: boolean;
  readonly signal?: AbortSignal;
}

/** One generated sequence. */
export interface Seq2SeqSequence {
  readonly text: string;
  /** Generated ids after the decoder's start tokens, the EOS included. */
  readonly ids: readonly number[];
  /** Of a beam search: sum of log-probabilities / length ^ `length_penalty`. */
  readonly score?: number;
  readonly finish_reason: 'stop' | 'length';
}

/** What came of one input. */
export interface Seq2SeqResult extends Seq2SeqSequence {
  /** Every sequence asked for, best first; the first is this one. */
  readonly sequences: readonly Seq2SeqSequence[];
  readonly usage: Seq2SeqUsage;
}

export interface Seq2SeqUsage {
  /** Tokens that the encoder read. */
  readonly input_tokens: number;
  /** Tokens of the sequences returned. */
  readonly output_tokens: number;
}

/** New text of one input's result. */
export interface Seq2SeqChunk {
  /** Which of the inputs. */
  readonly index: number;
  /** Text that no later token can change; may be empty. */
  readonly text: string;
  /** Ids behind it. */
  readonly ids: readonly number[];
  /** Set on an input's last chunk, together with `result`. */
  readonly finish_reason: 'stop' | 'length' | null;
  readonly result?: Seq2SeqResult;
}

/** Options of an encoder-decoder that runs in the calling thread. */
export type LocalSeq2SeqOptions = Omit<LocalLoadOptions, 'chatTemplate'> & Seq2SeqLimits;

export type Seq2SeqOptions = Omit<LoadOptions, 'chatTemplate'> & Seq2SeqLimits;

/** A snapshot of an encoder-decoder. */
export interface Seq2SeqStats extends Omit<EngineStats, 'model' | 'totals'> {
  readonly model: {
    readonly name: string;
    readonly modelType: string;
    readonly parameters: number;
    readonly layers: number;
    readonly vocab: number;
    /** Most tokens of an input. */
    readonly inputLength: number;
    /** Most tokens of the decoder, its start token included. */
    readonly contextLength: number;
  };
  readonly totals: EngineStats['totals'] & {
    /** Tokens that encoders read. */
    readonly encoderTokens: number;
  };
}
