/** What an encoder-decoder offers, and how it is loaded. @module */
import type { DecodeOptions, EncodeOptions } from '../tokenizer/tokenizer.ts';
import type { EngineStats, LoadOptions, LocalLoadOptions, WeightsReport } from './api.ts';
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
   * @throws {RequestError} if an input or option is invalid, an input is longer than `inputLength` and `truncate` is not
   *   set, or the beams do not fit
   * @throws {TokenizerError} if an input is a text and the repository has no tokenizer.json
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
  generate(
    inputs: Seq2SeqInput | readonly Seq2SeqInput[],
    options?: Seq2SeqParams,
  ): Promise<Seq2SeqResult | Seq2SeqResult[] | AsyncIterableIterator<Seq2SeqChunk>>;
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

/** A text, or token ids as they are: with the EOS that the model expects, and cut off without regard to it. */
export type Seq2SeqInput = string | { readonly ids: readonly number[] };

/**
 * How to generate, in the words of Transformers' `generate`; defaults are the model's generation_config.json. Null takes
 * away what that says.
 */
export interface Seq2SeqParams {
  /** Most tokens to generate, after those the decoder begins with. */
  readonly max_new_tokens?: number | null;
  /**
   * Most tokens of the decoder, those it begins with counted; `max_new_tokens` goes first. Where neither the request nor
   * the model sets a length: until the context is full.
   */
  readonly max_length?: number | null;
  readonly min_new_tokens?: number | null;
  /** Least tokens of the decoder, those it begins with counted; `min_new_tokens` goes first. */
  readonly min_length?: number | null;
  /** Tokens that the decoder begins with, after its start token. */
  readonly decoder_input_ids?: readonly number[] | null;
  /** Ids that end a sequence. */
  readonly eos_token_id?: number | readonly number[] | null;
  /** Samples instead of taking the most probable token. Not together with `num_beams`. */
  readonly do_sample?: boolean | null;
  /** Only with `do_sample`, like `top_k`, `top_p`, `min_p` and `seed`. */
  readonly temperature?: number | null;
  readonly top_k?: number | null;
  readonly top_p?: number | null;
  readonly min_p?: number | null;
  /** Inputs with the same seed draw the same numbers, whatever else is generated. */
  readonly seed?: number | null;
  /** Sequences that are kept at each step; 1 is greedy. */
  readonly num_beams?: number | null;
  /** Beams to return, best first; at most `num_beams`. Default 1. */
  readonly num_return_sequences?: number | null;
  /** Power of the length that scores are divided by: above 0 favors long sequences. */
  readonly length_penalty?: number | null;
  /**
   * When as many sequences as `num_beams` have ended: true stops, false goes on while the best running one has a better
   * score at its present length, 'never' while it could have one at any length.
   */
  readonly early_stopping?: boolean | 'never' | null;
  /** In a beam search: makes the probabilities of the tokens that the other options leave sum to 1. */
  readonly renormalize_logits?: boolean | null;
  readonly repetition_penalty?: number | null;
  readonly no_repeat_ngram_size?: number | null;
  /** The same with the n-grams of the input. */
  readonly encoder_no_repeat_ngram_size?: number | null;
  /** Sequences of tokens that must not come. */
  readonly bad_words_ids?: readonly (readonly number[])[] | null;
  /** Tokens that must not come. */
  readonly suppress_tokens?: readonly number[] | null;
  /** Tokens that must not come first. */
  readonly begin_suppress_tokens?: readonly number[] | null;
  /** First generated token, e.g. the id of the target language. */
  readonly forced_bos_token_id?: number | null;
  /** Last token at the maximum length. */
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
  /** Empty where the repository has no tokenizer.json. */
  readonly text: string;
  /** Generated ids, after those the decoder began with; the EOS included. */
  readonly ids: readonly number[];
  /** Of a beam search: sum of log-probabilities / length ^ `length_penalty`. */
  readonly score?: number;
  readonly finish_reason: 'stop' | 'length';
}

/** What came of one input: the best sequence, and all of them. */
export interface Seq2SeqResult extends Seq2SeqSequence {
  /** Best first; fewer than asked for where the rules allow no more. */
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
export type LocalSeq2SeqOptions = Omit<LocalLoadOptions, 'chatTemplate' | 'speculation'> &
  Seq2SeqLimits;

export type Seq2SeqOptions = Omit<LoadOptions, 'chatTemplate' | 'speculation'> & Seq2SeqLimits;

/** A snapshot of an encoder-decoder. */
export interface Seq2SeqStats extends Omit<EngineStats, 'model' | 'totals'> {
  readonly model: {
    readonly name: string;
    readonly modelType: string;
    readonly parameters: number;
    readonly weights: WeightsReport;
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
