/**
 * What page and worker say to each other.
 *
 * One message port per model. The page calls {@link ModelMethods} over it ({@link module:rpc}): first `open`, then
 * `load`, in the end `dispose`; the worker adds {@link Note}s to the same port.
 *
 * @module
 */
import type {
  Engine,
  LoadOptions,
  LoadProgress,
  LocalLoadOptions,
  RecoveryEvent,
} from '../engine/api.ts';
import type {
  Encoder,
  EncoderInput,
  Encoding,
  EncodingOptions,
  LocalEncoderOptions,
} from '../engine/encoder_api.ts';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionParams,
  Completion,
  CompletionChunk,
  CompletionParams,
} from '../engine/openai.ts';
import type {
  LocalSeq2SeqOptions,
  Seq2Seq,
  Seq2SeqChunk,
  Seq2SeqInput,
  Seq2SeqParams,
  Seq2SeqResult,
} from '../engine/seq2seq_api.ts';
import type { DecodeOptions, EncodeOptions } from '../tokenizer/tokenizer.ts';

/**
 * Version of everything in this file, load options included: raised with every change, here and in the name of the
 * shared worker in spawn.ts, so that tabs opened before and after an update do not meet in one worker.
 */
export const PROTOCOL_VERSION = 3;

/** First message to a dedicated worker; the model's port comes with it. */
export const CONNECT = 'quern:connect';

/** What a worker can hold, by kind. */
export interface Models {
  readonly engine: Engine;
  readonly encoder: Encoder;
  readonly seq2seq: Seq2Seq;
}

export type Kind = keyof Models;

/** What each kind is loaded with. */
export interface LoadOptionsByKind {
  readonly engine: LocalLoadOptions;
  readonly encoder: LocalEncoderOptions;
  readonly seq2seq: LocalSeq2SeqOptions;
}

/** What the worker answers `open` with. */
export interface Welcome {
  /** Web Lock that the worker holds as long as it lives; undefined where there are none. */
  readonly lock: string | undefined;
}

/** Where a model is, in a form that can be posted. */
export type PostedLocation =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'files';
      /** With their paths: not every browser keeps `webkitRelativePath` when it copies a file. */
      readonly files: readonly { readonly file: File; readonly path: string }[];
    }
  | { readonly kind: 'handle'; readonly handle: FileSystemDirectoryHandle }
  /** A source of the page's own, which answers {@link SourceMethods} over `port`. */
  | {
      readonly kind: 'source';
      readonly name: string;
      readonly canList: boolean;
      readonly port: MessagePort;
    };

/** What a model in a worker is loaded with. */
export type RemoteOptions<K extends Kind> = LoadOptionsByKind[K] & Pick<LoadOptions, 'worker'>;

/** Options without what stays in the page: functions, signals and the GPU. */
export type PostedOptions<K extends Kind> = Omit<
  RemoteOptions<K>,
  'worker' | 'gpu' | 'signal' | 'onProgress' | 'onRecovery'
>;

/** What a page can call; see `Engine`, `Encoder` and `Seq2Seq`. */
export interface ModelMethods {
  /** @param lock - Web Lock that the page holds as long as it lives; undefined where there are none */
  open(version: number, lock: string | undefined): Welcome;
  /** Ends when the model is loaded. */
  load<K extends Kind>(kind: K, from: PostedLocation, options: PostedOptions<K>): void;
  chat(
    params: Omit<ChatCompletionParams, 'signal'>,
  ): ChatCompletion | AsyncIterableIterator<ChatCompletionChunk>;
  complete(
    params: Omit<CompletionParams, 'signal'>,
  ): Completion | AsyncIterableIterator<CompletionChunk>;
  encode(
    inputs: EncoderInput | readonly EncoderInput[],
    options: Omit<EncodingOptions, 'signal' | 'onProgress'>,
  ): Encoding | Encoding[];
  generate(
    inputs: Seq2SeqInput | readonly Seq2SeqInput[],
    params: Omit<Seq2SeqParams, 'signal'>,
  ): Seq2SeqResult | Seq2SeqResult[] | AsyncIterableIterator<Seq2SeqChunk>;
  tokenize(text: string, options: EncodeOptions | undefined): number[];
  detokenize(ids: readonly number[], options: DecodeOptions | undefined): string;
  stats(): Awaited<ReturnType<Models[Kind]['stats']>>;
  /** Ends what this page has open and gives up its model, loaded or not. */
  dispose(): void;
}

/** What the methods report that take their time. */
export interface ModelProgress {
  readonly load: LoadProgress;
  readonly encode: Parameters<NonNullable<EncodingOptions['onProgress']>>[0];
}

/** What the worker tells unasked. */
export interface Note {
  readonly type: 'recovery';
  readonly event: RecoveryEvent;
}

/** What the worker can call on a source in the page; see `ModelSource`. */
export interface SourceMethods {
  /** @returns undefined if there is no such file; `file` stands for it in `read` */
  open(
    path: string,
  ): { readonly file: number; readonly name: string; readonly size: number } | undefined;
  read(file: number, begin: number, end: number): Uint8Array<ArrayBuffer>;
  list(): readonly string[];
}
