/** What an engine offers, how it is loaded, and what it tells of itself. @module */
import type { OpenDeviceOptions } from '../gpu/open_device.ts';
import type { DecodeOptions, EncodeOptions } from '../tokenizer/tokenizer.ts';
import type { FormSize, WeightChoice, WeightOption } from '../weights/forms.ts';
import type { HttpOptions } from '../weights/sources/http.ts';
import type { EngineLimits } from './limits.ts';
import type { SpeculationOption } from './speculation_options.ts';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionParams,
  Completion,
  CompletionChunk,
  CompletionParams,
} from './openai.ts';

/** A language model on the GPU, ready to reply to any number of requests at once. Made by `Engine.load`. */
export interface Engine {
  readonly chat: { readonly completions: ChatCompletions };
  readonly completions: Completions;
  /**
   * Text to token ids; with what the model expects round a plain text unless told otherwise.
   *
   * @throws {DisposedError} if the engine is disposed, as do the other methods
   */
  tokenize(text: string, options?: EncodeOptions): Promise<number[]>;
  /** Token ids to text. @throws {RequestError} if an id is not a non-negative integer */
  detokenize(ids: readonly number[], options?: DecodeOptions): Promise<string>;
  /** Model, adapter, memory, and what has been done so far. */
  stats(): Promise<EngineStats>;
  /**
   * Frees the GPU. Open requests and streams end with {@link DisposedError}, and so do later calls. May be called at
   * any time, also twice.
   */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Replies to conversations, in the shapes of OpenAI's chat completions. */
export interface ChatCompletions {
  /**
   * Replies to a conversation.
   *
   * With `stream: true` the promise resolves to chunks as they are made; leaving the loop over them cancels the
   * request. The last chunk of the last choice carries `usage`.
   *
   * @throws {RequestError} if an option or a message is invalid, or the conversation does not fit the context
   * @throws {TokenizerError} if the model has no chat template, or it refuses the messages
   * @throws {DeviceLostError} if the GPU is lost for good meanwhile; a stream ends with it
   * @throws {DisposedError} if the engine is disposed
   * @throws `params.signal.reason` when aborted
   */
  create(
    params: ChatCompletionParams & { readonly stream: true },
  ): Promise<AsyncIterableIterator<ChatCompletionChunk>>;
  create(
    params: ChatCompletionParams & { readonly stream?: false | null },
  ): Promise<ChatCompletion>;
  create(
    params: ChatCompletionParams,
  ): Promise<ChatCompletion | AsyncIterableIterator<ChatCompletionChunk>>;
}

/** Continuations of texts, in the shapes of OpenAI's completions. */
export interface Completions {
  /**
   * Continues one or several prompts; streaming and errors as for chat completions.
   *
   * @throws {RequestError} if an option is invalid, or a prompt is empty or does not fit the context
   * @throws {DeviceLostError} if the GPU is lost for good meanwhile
   * @throws {DisposedError} if the engine is disposed
   * @throws `params.signal.reason` when aborted
   */
  create(
    params: CompletionParams & { readonly stream: true },
  ): Promise<AsyncIterableIterator<CompletionChunk>>;
  create(params: CompletionParams & { readonly stream?: false | null }): Promise<Completion>;
  create(params: CompletionParams): Promise<Completion | AsyncIterableIterator<CompletionChunk>>;
}

/** Options of an engine that runs in the calling thread. */
export interface LocalLoadOptions extends EngineLimits, OpenDeviceOptions {
  /** WebGPU to use; default `navigator.gpu`. In Node, one that `openGpu` of `quern/node` opened. */
  readonly gpu?: GPU;
  /** Cancels loading; `Engine.load` rejects with its reason and frees what it had. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Told when the device is lost, and again when every open request goes on or has ended. */
  readonly onRecovery?: (event: RecoveryEvent) => void;
  /**
   * Whether kernels are checked against the plain ones before they are used: `auto` on an adapter this origin has not
   * seen with these shaders in this version of the browser, `always`, or `never`. Default `auto`.
   */
  readonly selfTest?: 'auto' | 'always' | 'never';
  /**
   * What weight matrices are stored in: `f32`, `f16`, integers of 8 (`q8`) or 4 bits (`q4`; embeddings, heads and
   * matrices of fewer than 2^18 elements 8) with an f16 scale for every 32, or `auto`: as in the files where that fits in
   * half of the memory, as far as that is known, else `q8`, else `q4`. Default `auto`. `stats().model.weights` tells what
   * it came to.
   */
  readonly weights?: WeightOption;
  /**
   * Whether kernels are measured against each other with the model's sizes, for up to two seconds, and the fastest used:
   * `auto` on a GPU where this origin has not done so yet, `always` on every adapter at every load; default `auto`.
   */
  readonly tune?: 'auto' | 'always' | 'never';
  /** Whether several tokens are guessed and verified at once, and how; default `off`. */
  readonly speculation?: SpeculationOption;
  /** Jinja template to use instead of the repository's own. */
  readonly chatTemplate?: string;
  /** Request headers (such as `Authorization` for gated repositories) and `fetch` to use. */
  readonly http?: HttpOptions;
}

export interface LoadOptions extends LocalLoadOptions {
  /**
   * Thread the engine runs in: this one (`false`, default), a worker of its own (`true`), a shared worker in which all
   * tabs of the site use one loaded model (`'shared'`; a worker of its own where the browser has no shared workers, or no
   * WebGPU in them), or a worker that you made of `quern/worker`. `gpu` and `http.fetch` cannot go along; picked files,
   * directory handles and sources of your own are never shared.
   */
  readonly worker?: boolean | 'shared' | Worker;
}

/**
 * A lost device, and what became of it. Whether or not requests are open, a new device takes its place at once: at most
 * twice within a minute, then the engine fails.
 */
export interface RecoveryEvent {
  /**
   * `lost`: a new device is being set up (again, if that is lost meanwhile); `recovered`: open requests go on;
   * `failed`: they have ended with {@link DeviceLostError}, and later ones do.
   */
  readonly phase: 'lost' | 'recovered' | 'failed';
  /** What the platform said. */
  readonly reason: string;
}

/** How far loading has come. */
export interface LoadProgress {
  /** `files`: configuration and tokenizer; `weights`: tensors; `compile`: shaders; `ready`. */
  readonly phase: 'files' | 'weights' | 'compile' | 'ready';
  /** File being read, during `weights`. */
  readonly file?: string;
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

/** A snapshot of an engine. */
export interface EngineStats {
  readonly model: {
    readonly name: string;
    readonly modelType: string;
    readonly parameters: number;
    readonly layers: number;
    readonly vocab: number;
    /** Most tokens of a prompt and its reply together. */
    readonly contextLength: number;
    readonly weights: WeightsReport;
    /** Whether `chat.completions` works without a template of the caller's. */
    readonly hasChatTemplate: boolean;
    /** What requests get that leave these options out: from the model's generation_config.json. */
    readonly defaults: {
      readonly temperature: number;
      readonly top_p: number;
      readonly top_k: number;
      readonly min_p: number;
      readonly repetition_penalty: number;
      /** Missing: until the context is full. */
      readonly max_tokens?: number;
    };
  };
  readonly adapter: {
    readonly vendor: string;
    readonly architecture: string;
    readonly description: string;
    readonly isSoftware: boolean;
    readonly hasF16: boolean;
    readonly hasSubgroups: boolean;
  };
  /** GPU bytes by purpose; none while a lost device is being replaced. */
  readonly memory: {
    readonly weights: number;
    readonly kv: number;
    readonly scratch: number;
    readonly state: number;
    readonly readback: number;
    readonly total: number;
  };
  readonly kvCache: {
    readonly pageSize: number;
    readonly pages: number;
    /** Pages that requests hold. */
    readonly usedPages: number;
    /** Pages that are free but still hold a prefix that could be reused. */
    readonly cachedPages: number;
  };
  readonly requests: { readonly running: number; readonly waiting: number };
  /** Since loading. */
  readonly totals: {
    readonly steps: number;
    readonly dispatches: number;
    /** GPU time of all steps in milliseconds, if `measureGpuTime` was asked for and the device has timestamps. */
    readonly gpuMs?: number;
    readonly promptTokens: number;
    readonly cachedTokens: number;
    readonly generatedTokens: number;
    readonly preemptions: number;
    /** Tokens that `speculation` guessed, those that were right, and how often several were verified at once. */
    readonly draftedTokens: number;
    readonly acceptedTokens: number;
    readonly verifications: number;
  };
  readonly pipelines: number;
  /** Thread the engine runs in; `page` in Node, too. */
  readonly thread: 'page' | 'worker' | 'shared-worker';
  /** Times a lost device was replaced. */
  readonly recoveries: number;
  readonly selfTest: SelfTestReport;
  readonly tuning: TuningReport;
}

/** What weights are stored in. */
export interface WeightsReport {
  /** `stored`: each matrix as in its file. */
  readonly form: WeightChoice;
  /** Why it was taken. */
  readonly reason: string;
  /**
   * How many matrices are in each form, and their bytes: not all in the one above, since routers, learned positions and,
   * of integers, matrices whose rows are no multiple of 32 stay as in the file, and small ones have 8 bits where others
   * have 4.
   */
  readonly matrices: Readonly<Record<string, FormSize>>;
}

/** Which kernels were measured to be the fastest on this adapter. */
export interface TuningReport {
  /** `partial` if the time was up before all was measured; `skipped` if `tune` is `never`, or `auto` on a software adapter. */
  readonly status: 'complete' | 'partial' | 'skipped';
  /** Name of the fastest variant by what it is for, such as `matmul q4 1536x576, 1 rows`; others use a fixed choice. */
  readonly chosen: Readonly<Record<string, string>>;
  /**
   * Milliseconds of each variant that was tried, by what it is for; only of what this engine measured, not of what was
   * known of the adapter.
   */
  readonly measuredMs?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Time spent on it by this engine, in milliseconds. */
  readonly elapsedMs: number;
}

/** What the check of the kernels on this adapter found. */
export interface SelfTestReport {
  /**
   * `passed` and `failed` may come from an earlier load on this adapter; `skipped` if `selfTest` is `never`, or the
   * check could not be made because the adapter gave it no device.
   */
  readonly status: 'passed' | 'failed' | 'skipped';
  /** Variants that were compared with the plain kernel, by name: that of their file in shaders/. */
  readonly checked: readonly string[];
  /** Variants that disagreed and are not used. */
  readonly dropped: readonly DroppedVariant[];
  /** Milliseconds the check took this engine; 0 where its result was remembered. */
  readonly elapsedMs: number;
}

/** A kernel that gave wrong results on this adapter. */
export interface DroppedVariant {
  readonly variant: string;
  /**
   * Largest difference from the plain kernel, relative to its largest value; NaN where there are no numbers to compare,
   * such as after a compile error: `reason` tells.
   */
  readonly error: number;
  readonly reason: string;
}
