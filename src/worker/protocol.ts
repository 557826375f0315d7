/**
 * What page and worker say to each other.
 *
 * One message port per engine. The page calls {@link EngineMethods} over it ({@link module:rpc}): first `open`, then
 * `load`, in the end `dispose`; the worker adds {@link Note}s to the same port.
 *
 * @module
 */
import type { EngineStats, LoadProgress, LocalLoadOptions, RecoveryEvent } from '../engine/api.ts';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionParams,
  Completion,
  CompletionChunk,
  CompletionParams,
} from '../engine/openai.ts';
import type { DecodeOptions, EncodeOptions } from '../tokenizer/tokenizer.ts';

/**
 * Version of everything in this file, {@link LocalLoadOptions} included: raised with every change, here and in the name
 * of the shared worker in spawn.ts, so that tabs opened before and after an update do not meet in one worker.
 */
export const PROTOCOL_VERSION = 1;

/** First message to a dedicated worker; the engine's port comes with it. */
export const CONNECT = 'quern:connect';

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

/** Options without what stays in the page: functions, signals and the GPU. */
export type PostedOptions = Omit<LocalLoadOptions, 'gpu' | 'signal' | 'onProgress' | 'onRecovery'>;

/** What a page can call; see `Engine`. */
export interface EngineMethods {
  /** @param lock - Web Lock that the page holds as long as it lives; undefined where there are none */
  open(version: number, lock: string | undefined): Welcome;
  /** Ends when the model is loaded. */
  load(from: PostedLocation, options: PostedOptions): void;
  chat(
    params: Omit<ChatCompletionParams, 'signal'>,
  ): ChatCompletion | AsyncIterableIterator<ChatCompletionChunk>;
  complete(
    params: Omit<CompletionParams, 'signal'>,
  ): Completion | AsyncIterableIterator<CompletionChunk>;
  tokenize(text: string, options: EncodeOptions | undefined): number[];
  detokenize(ids: readonly number[], options: DecodeOptions | undefined): string;
  stats(): EngineStats;
  /** Ends what this page has open and gives up its engine, loaded or not. */
  dispose(): void;
}

/** What the worker tells unasked. */
export type Note =
  | { readonly type: 'progress'; readonly progress: LoadProgress }
  | { readonly type: 'recovery'; readonly event: RecoveryEvent };

/** What the worker can call on a source in the page; see `ModelSource`. */
export interface SourceMethods {
  /** @returns undefined if there is no such file; `file` stands for it in `read` */
  open(
    path: string,
  ): { readonly file: number; readonly name: string; readonly size: number } | undefined;
  read(file: number, begin: number, end: number): Uint8Array<ArrayBuffer>;
  list(): readonly string[];
}
