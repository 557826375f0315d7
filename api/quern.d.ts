/** One file, readable at any place. Holds no resource that needs closing. */
export declare interface ByteSource {
  /** For messages and progress: a path, a file name or a URL. */
  readonly name: string;
  /** Size in bytes. */
  readonly size: number;
  /**
   * Reads `end - begin` bytes, never fewer. The caller owns the result.
   *
   * @param memory - what the result may be put in, where it is large enough; the caller has no further use for it
   * @throws {DownloadError} if they cannot be had
   * @throws `signal.reason` when aborted
   */
  read(
    begin: number,
    end: number,
    signal?: AbortSignal,
    memory?: ArrayBuffer,
  ): Promise<Uint8Array<ArrayBuffer>>;
}

export declare interface ChatCompletion {
  readonly id: string;
  readonly object: 'chat.completion';
  /** Unix time in seconds. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly message: {
      readonly role: 'assistant';
      readonly content: string;
    };
    readonly finish_reason: FinishReason;
    readonly logprobs: ChatLogprobs | null;
  }[];
  readonly usage: Usage;
}

export declare interface ChatCompletionChunk {
  readonly id: string;
  readonly object: 'chat.completion.chunk';
  readonly created: number;
  readonly model: string;
  /** Empty only in the usage chunk that `stream_options.include_usage` asks for. */
  readonly choices: readonly {
    readonly index: number;
    readonly delta: {
      readonly role?: 'assistant';
      readonly content?: string;
    };
    readonly finish_reason: FinishReason | null;
    readonly logprobs: ChatLogprobs | null;
  }[];
  /** On the last chunk of the stream. */
  readonly usage?: Usage;
}

export declare interface ChatCompletionParams extends GenerationParams {
  readonly messages: readonly ChatMessage[];
  readonly stream?: boolean | null;
  /** Newer name of `max_tokens`. */
  readonly max_completion_tokens?: number | null;
  readonly logprobs?: boolean | null;
  /** Alternatives per token, 0–20; needs `logprobs`. */
  readonly top_logprobs?: number | null;
  /** Extension. Further variables for the chat template, e.g. `enable_thinking`. */
  readonly chat_template_kwargs?: Readonly<Record<string, unknown>>;
}

/** Replies to conversations, in the shapes of OpenAI's chat completions. */
export declare interface ChatCompletions {
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
    params: ChatCompletionParams & {
      readonly stream: true;
    },
  ): Promise<AsyncIterableIterator<ChatCompletionChunk>>;
  create(
    params: ChatCompletionParams & {
      readonly stream?: false | null;
    },
  ): Promise<ChatCompletion>;
  create(
    params: ChatCompletionParams,
  ): Promise<ChatCompletion | AsyncIterableIterator<ChatCompletionChunk>>;
}

export declare interface ChatLogprobs {
  readonly content: readonly (TokenLogprob & {
    readonly top_logprobs: readonly TokenLogprob[];
  })[];
}

/** A message of a conversation, in the OpenAI spelling. Templates see every field, known here or not. */
export declare interface ChatMessage {
  /** `system`, `user`, `assistant`, `tool`, or whatever else the template knows. */
  readonly role: string;
  /** Null only where the assistant said nothing, e.g. beside `tool_calls`. */
  readonly content?: string | readonly TextPart[] | null;
  readonly name?: string;
  readonly tool_calls?: readonly unknown[];
  readonly tool_call_id?: string;
}

export declare interface Completion {
  readonly id: string;
  readonly object: 'text_completion';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly CompletionChoice<FinishReason>[];
  readonly usage: Usage;
}

export declare interface CompletionChoice<Reason> {
  readonly index: number;
  readonly text: string;
  readonly finish_reason: Reason;
  readonly logprobs: CompletionLogprobs | null;
}

/** One piece of a streamed completion. */
export declare interface CompletionChunk {
  readonly id: string;
  readonly object: 'text_completion';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly CompletionChoice<FinishReason | null>[];
  readonly usage?: Usage;
}

export declare interface CompletionLogprobs {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly number[];
  readonly top_logprobs: readonly Readonly<Record<string, number>>[];
  /** Offset of each token in the reply, in UTF-16 units. */
  readonly text_offset: readonly number[];
}

export declare interface CompletionParams extends GenerationParams {
  /** Text, token ids, or several of either. */
  readonly prompt: string | readonly string[] | readonly number[] | readonly (readonly number[])[];
  readonly stream?: boolean | null;
  /** Alternatives per token, 0–20. */
  readonly logprobs?: number | null;
  /** Puts the prompt before each reply. */
  readonly echo?: boolean | null;
}

/** Continuations of texts, in the shapes of OpenAI's completions. */
export declare interface Completions {
  /**
   * Continues one or several prompts; streaming and errors as for chat completions.
   *
   * @throws {RequestError} if an option is invalid, or a prompt is empty or does not fit the context
   * @throws {DeviceLostError} if the GPU is lost for good meanwhile
   * @throws {DisposedError} if the engine is disposed
   * @throws `params.signal.reason` when aborted
   */
  create(
    params: CompletionParams & {
      readonly stream: true;
    },
  ): Promise<AsyncIterableIterator<CompletionChunk>>;
  create(
    params: CompletionParams & {
      readonly stream?: false | null;
    },
  ): Promise<Completion>;
  create(params: CompletionParams): Promise<Completion | AsyncIterableIterator<CompletionChunk>>;
}

/** `config.json` or `generation_config.json` is missing, damaged, or describes a model we cannot run. */
export declare class ConfigError extends QuernError {
  readonly name = 'ConfigError';
  /** Key of the offending entry, where there is one. */
  readonly key: string | undefined;
  constructor(
    message: string,
    options?: ErrorOptions & {
      readonly key?: string;
    },
  );
}

/** How ids become text. */
export declare interface DecodeOptions {
  /** Leaves out special tokens. Default true. */
  readonly skipSpecialTokens?: boolean;
}

/** The device cannot hold or run what was asked of it. */
export declare class DeviceLimitError extends QuernError {
  readonly name = 'DeviceLimitError';
  /** WebGPU limit or resource that was too small, e.g. `maxStorageBufferBindingSize` or `memory`. */
  readonly limit: string;
  readonly available: number;
  readonly needed: number;
  constructor(limit: string, available: number, needed: number, advice: string);
}

/** The device was lost: driver reset, GPU removed, memory pressure, or destroyed on purpose. */
export declare class DeviceLostError extends QuernError {
  readonly name = 'DeviceLostError';
  /** What the platform said of it, where that is known. */
  readonly reason: string | undefined;
  constructor(
    message: string,
    options?: ErrorOptions & {
      readonly reason?: string;
    },
  );
}

/** The model was disposed, or is being disposed, and takes no further work. */
export declare class DisposedError extends QuernError {
  readonly name = 'DisposedError';
  constructor(message?: string, options?: ErrorOptions);
}

/** A file could not be fetched or read. */
export declare class DownloadError extends QuernError {
  readonly name = 'DownloadError';
  readonly url: string;
  /** HTTP status, where a server answered. */
  readonly status: number | undefined;
  constructor(
    url: string,
    message: string,
    options?: ErrorOptions & {
      readonly status?: number;
    },
  );
}

/** A smaller model of the same vocabulary that guesses what the larger one will say. */
export declare interface DraftOptions {
  /** Where it is, as for `Engine.load`; with a worker only text or a directory handle. */
  readonly draft: ModelLocation;
  /** Most tokens it guesses at a time, 1 to 7; default 4. */
  readonly tokens?: number;
}

/** A kernel that gave wrong results on this adapter. */
export declare interface DroppedVariant {
  readonly variant: string;
  /**
   * Largest difference from the plain kernel, relative to its largest value; NaN where there are no numbers to compare,
   * such as after a compile error: `reason` tells.
   */
  readonly error: number;
  readonly reason: string;
}

/** How text becomes ids. */
export declare interface EncodeOptions {
  /**
   * Adds what the model expects round a plain text, such as BOS. Default true; false for rendered chats, which have
   * it already.
   */
  readonly addSpecialTokens?: boolean;
}

/** Makes encoders. */
export declare const Encoder: {
  /**
   * Loads an encoder such as BERT, or the encoder of an encoder-decoder such as T5.
   *
   * @param from - as for `Engine.load`. The repository needs a tokenizer for texts only, not for token ids
   * @throws as `Engine.load`; {@link ConfigError} too if the model is of another kind
   */
  readonly load: (from: ModelLocation, options?: EncoderOptions) => Promise<Encoder>;
};

/** A model that turns texts into vectors and labels, such as BERT, on the GPU. Made by `Encoder.load`. */
export declare interface Encoder {
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
export declare type EncoderInput =
  | string
  | {
      readonly text: string;
      readonly pair?: string;
    }
  | {
      readonly ids: readonly number[];
      readonly typeIds?: readonly number[];
    };

/** Sizes an encoder is set up with; all optional. */
export declare interface EncoderLoadLimits {
  /** Most tokens computed in one step, default 2048, or 256 on software adapters; a longer text is alone in its step. */
  readonly tokenBudget?: number;
  /** Steps submitted before the first one's results are read, default 2. */
  readonly maxInFlight?: number;
}

export declare interface EncoderOptions extends LocalEncoderOptions, Pick<LoadOptions, 'worker'> {}

/** A snapshot of an encoder. */
export declare interface EncoderStats extends Pick<
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

/** What came of one text. */
export declare interface Encoding {
  /** Token ids of the text, special tokens included. */
  readonly ids: readonly number[];
  /** f32 [dim], where there is a `pooling`. */
  readonly vector?: Float32Array;
  /** The outputs asked for, by name. */
  readonly outputs: Readonly<Record<string, EncodingOutput>>;
  /** Tokens that the rows of outputs per token belong to, where they are not all of `ids`. */
  readonly positions?: readonly number[];
}

export declare interface EncodingOptions {
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

/** Numbers in rows: one per token, or one for the text. */
export declare interface EncodingOutput {
  /** f32 [rows, size] */
  readonly data: Float32Array;
  readonly rows: number;
  readonly size: number;
}

/** Makes engines. */
export declare const Engine: {
  /**
   * Loads a model.
   *
   * @param from - Hugging Face repository id (`owner/name`, `owner/name@revision`), URL of a folder, files a person
   *   picked, a directory handle, or a source of your own
   * @throws {NoWebGpuError} if there is no WebGPU
   * @throws {DeviceLimitError} {@link OutOfMemoryError} if the GPU cannot hold the model
   * @throws {ConfigError} {@link WeightFileError} {@link TokenizerError} if a file is missing, damaged or unsupported
   * @throws {DownloadError} if a file cannot be read
   * @throws {RequestError} if an option is invalid
   * @throws {WorkerError} if the worker cannot be started
   * @throws `signal.reason` when aborted; everything is freed then, in a worker soon after, as after any other error
   */
  readonly load: (from: ModelLocation, options?: LoadOptions) => Promise<Engine>;
};

/** A language model on the GPU, ready to reply to any number of requests at once. Made by `Engine.load`. */
export declare interface Engine {
  readonly chat: {
    readonly completions: ChatCompletions;
  };
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

/** Sizes an engine is set up with. All optional; the defaults suit a page with a few conversations. */
export declare interface EngineLimits {
  /**
   * Most tokens of a prompt and its reply; default: the model's own, at most 4096. May be longer than the model's own
   * only where its RoPE scaling is dynamic.
   */
  readonly contextLength?: number;
  /** Tokens the KV cache holds for all requests and reusable prefixes; default: two contexts. */
  readonly kvTokens?: number;
  /** Element type of the KV cache, default f16; q8, with a scale for each token and head, takes about half of that. */
  readonly kvDtype?: KvDType;
  /** Tokens per page of the KV cache, default 16. Prefixes are shared in whole pages. */
  readonly pageSize?: number;
  /** Requests that run at once, default 8; others wait. */
  readonly maxSequences?: number;
  /**
   * Most tokens computed in one step, default 256, or 64 on software adapters; longer prompts are cut so that running
   * replies go on meanwhile.
   */
  readonly tokenBudget?: number;
  /** Steps submitted before the first one's results are read, default 2. */
  readonly maxInFlight?: number;
  /** Measures GPU time for `stats().totals.gpuMs`, at the price of one more read-back per step. Default false. */
  readonly measureGpuTime?: boolean;
}

/** A snapshot of an engine. */
export declare interface EngineStats {
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
  readonly requests: {
    readonly running: number;
    readonly waiting: number;
  };
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

/** Why a reply ended: the model or a stop rule, or a length limit. */
export declare type FinishReason = 'stop' | 'length';

/** How many matrices are in a form, and their bytes. */
export declare interface FormSize {
  readonly count: number;
  readonly bytes: number;
}

/** Options that chat and plain completions share. */
export declare interface GenerationParams {
  /** Ignored: an engine runs one model. Kept so that OpenAI-shaped calls work unchanged. */
  readonly model?: string;
  /** Replies per prompt, default 1. */
  readonly n?: number;
  /** Most tokens to generate; default: the repository's `max_new_tokens`, else until the context is full. */
  readonly max_tokens?: number | null;
  /** 0 is greedy. Default: the repository's generation_config.json, which is greedy unless it says `do_sample`. */
  readonly temperature?: number | null;
  /** Nucleus sampling: the smallest set of tokens with this probability. Holtzman et al. 2019, arXiv:1904.09751. */
  readonly top_p?: number | null;
  /** Extension. Only the k most probable tokens; 0 is off. */
  readonly top_k?: number | null;
  /** Extension. Only tokens at least this probable relative to the most probable one. arXiv:2407.01082. */
  readonly min_p?: number | null;
  /** Extension. Divides the logits of tokens already seen. Keskar et al. 2019, arXiv:1909.05858. */
  readonly repetition_penalty?: number | null;
  readonly frequency_penalty?: number | null;
  readonly presence_penalty?: number | null;
  /** Token id → number added to its logit. */
  readonly logit_bias?: Readonly<Record<string, number>> | null;
  /** Same seed, same text. Default: random. */
  readonly seed?: number | null;
  /** Texts that end the reply; not part of it. */
  readonly stop?: string | readonly string[] | null;
  /** Extension. Token ids that end the reply, in addition to the model's own. */
  readonly stop_token_ids?: readonly number[];
  /** Extension. Goes on past the model's own stop tokens, for benchmarks. */
  readonly ignore_eos?: boolean;
  /** Extension. What to do with a prompt that leaves no room: an error, or drop its oldest part. Default 'error'. */
  readonly context_overflow?: 'error' | 'truncate';
  readonly stream_options?: {
    readonly include_usage?: boolean;
  } | null;
  /** Extension. Cancels the request at any moment: its promise or stream ends with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** The GPU refused a command. Always a defect of the engine or of the driver, never of the request. */
export declare class GpuValidationError extends QuernError {
  readonly name = 'GpuValidationError';
}

/** How to talk to a server. */
export declare interface HttpOptions {
  /** Sent with every request, e.g. `{ Authorization: 'Bearer hf_…' }` for a gated repository. */
  readonly headers?: Readonly<Record<string, string>>;
  /** In place of the platform's `fetch`. */
  readonly fetch?: typeof fetch;
  /** Pause before the first repetition of a failed request; doubles with each. Default 500. */
  readonly retryDelayMs?: number;
}

/** Element type of a KV cache. `q8`: whole numbers from -127 to 127, with an f32 scale for each token and head. */
export declare type KvDType = 'f32' | 'f16' | 'q8';

export declare interface LoadOptions extends LocalLoadOptions {
  /**
   * Thread the engine runs in: this one (`false`, default), a worker of its own (`true`), a shared worker in which all
   * tabs of the site use one loaded model (`'shared'`; a worker of its own where the browser has no shared workers, or no
   * WebGPU in them), or a worker that you made of `quern/worker`. `gpu` and `http.fetch` cannot go along; picked files,
   * directory handles and sources of your own are never shared.
   */
  readonly worker?: boolean | 'shared' | Worker;
}

/** How far loading has come. */
export declare interface LoadProgress {
  /** `files`: configuration and tokenizer; `weights`: tensors; `compile`: shaders; `ready`. */
  readonly phase: 'files' | 'weights' | 'compile' | 'ready';
  /** File being read, during `weights`. */
  readonly file?: string;
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

/** Options of an encoder that runs in the calling thread. */
export declare interface LocalEncoderOptions
  extends
    Omit<LocalLoadOptions, keyof EngineLimits | 'chatTemplate' | 'speculation'>,
    EncoderLoadLimits {}

/** Options of an engine that runs in the calling thread. */
export declare interface LocalLoadOptions extends EngineLimits, OpenDeviceOptions {
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

/** Options of an encoder-decoder that runs in the calling thread. */
export declare type LocalSeq2SeqOptions = Omit<LocalLoadOptions, 'chatTemplate' | 'speculation'> &
  Seq2SeqLimits;

/** What a model can be loaded from. */
export declare type ModelLocation =
  | string
  | readonly File[]
  | FileSystemDirectoryHandle
  | ModelSource;

/** The files of one model repository. */
export declare interface ModelSource {
  /** For messages: a repository id, a URL or a folder. */
  readonly name: string;
  /**
   * Opens a file by its path within the repository, with forward slashes.
   *
   * @returns undefined if there is no such file
   * @throws {DownloadError} if the place itself cannot be reached or refuses us
   * @throws `signal.reason` when aborted
   */
  open(path: string, signal?: AbortSignal): Promise<ByteSource | undefined>;
  /** Names of the files at the top, where the place can tell; a web server cannot. */
  list?(): Promise<readonly string[]>;
}

/** WebGPU is missing, or it offers no adapter. */
export declare class NoWebGpuError extends QuernError {
  readonly name = 'NoWebGpuError';
}

export declare interface OpenDeviceOptions {
  /** Features not to ask for although the adapter has them. */
  readonly without?: readonly OptionalFeature[];
  /** Ask for the WebGPU default limits instead of the adapter's. */
  readonly defaultLimits?: boolean;
  /** Where there are two GPUs; default `high-performance`. */
  readonly powerPreference?: GPUPowerPreference;
  /**
   * Multiply weights of 8 and 4 bits as integers where that is measured to be faster. It rounds what they are multiplied
   * with to 8 bits: an error of about 0.5 % of the largest result, and a reply may depend on what it is batched with.
   */
  readonly integerProducts?: boolean;
}

/** Features that may be withheld, to run as a device without them would. */
export declare type OptionalFeature = 'shader-f16' | 'subgroups' | 'timestamp-query';

/** The GPU ran out of memory. */
export declare class OutOfMemoryError extends QuernError {
  readonly name = 'OutOfMemoryError';
}

/**
 * Runs a model on the inputs in its `expected.safetensors` and compares every value that both name, and the greedy
 * continuation. A model that cannot be run is reported, not thrown.
 *
 * @param dir - name for the report
 * @throws `signal.reason` when aborted
 */
export declare function parity(
  dir: string,
  source: ModelSource,
  options?: ParityOptions,
): Promise<ParityReport>;

export declare interface ParityOptions {
  readonly gpu?: GPU;
  /** Largest `rel` that still counts as agreement, default 1e-4. */
  readonly tolerance?: number;
  /** Default f32: differences are then those of the arithmetic. */
  readonly kvDtype?: KvDType;
  /** What weights are stored in, as for loading; default: as in the files. */
  readonly weights?: WeightOption;
  readonly signal?: AbortSignal;
}

/** How a model directory compares with the reference outputs it holds. */
export declare interface ParityReport {
  readonly dir: string;
  /** Every tensor is within the tolerance and the greedy ids are equal. */
  readonly ok: boolean;
  readonly adapter: string;
  readonly tensors: Readonly<Record<string, TensorDifference>>;
  readonly greedy: {
    readonly expected: readonly number[];
    readonly actual: readonly number[];
    readonly equal: boolean;
  } | null;
  /** Why the comparison could not be made. */
  readonly error?: string;
}

/** How a text is made into one vector; each is f32 [dim]. */
export declare type Pooling = 'mean' | 'first' | 'pooler';

/**
 * Every error a caller of Quern can do something about, one class per kind.
 *
 * Messages read `where: what was found, expected what; what to do`, with the values in them. Aborts are not
 * here: they surface as the platform's own `AbortError` (`signal.reason`).
 *
 * @module
 */
/** Base of every error the library throws on purpose. */
export declare abstract class QuernError extends Error {
  abstract readonly name: string;
}

/**
 * A lost device, and what became of it. Whether or not requests are open, a new device takes its place at once: at most
 * twice within a minute, then the engine fails.
 */
export declare interface RecoveryEvent {
  /**
   * `lost`: a new device is being set up (again, if that is lost meanwhile); `recovered`: open requests go on;
   * `failed`: they have ended with {@link DeviceLostError}, and later ones do.
   */
  readonly phase: 'lost' | 'recovered' | 'failed';
  /** What the platform said. */
  readonly reason: string;
}

/** A request asks for something invalid: empty prompt, prompt too long, sampling value out of range. */
export declare class RequestError extends QuernError {
  readonly name = 'RequestError';
  /** Name of the offending request field in the OpenAI spelling, e.g. `top_p`. */
  readonly param: string | undefined;
  constructor(
    message: string,
    options?: ErrorOptions & {
      readonly param?: string;
    },
  );
}

/** What the check of the kernels on this adapter found. */
export declare interface SelfTestReport {
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

/** Makes encoder-decoders. */
export declare const Seq2Seq: {
  /**
   * Loads an encoder-decoder such as T5 or BART.
   *
   * @param from - as for `Engine.load`
   * @throws as `Engine.load`; {@link ConfigError} too if the model is of another kind
   */
  readonly load: (from: ModelLocation, options?: Seq2SeqOptions) => Promise<Seq2Seq>;
};

/** A model that turns one text into another, such as T5 or BART, on the GPU. Made by `Seq2Seq.load`. */
export declare interface Seq2Seq {
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
    options: Seq2SeqParams & {
      readonly stream: true;
    },
  ): Promise<AsyncIterableIterator<Seq2SeqChunk>>;
  generate(
    input: Seq2SeqInput,
    options?: Seq2SeqParams & {
      readonly stream?: false;
    },
  ): Promise<Seq2SeqResult>;
  generate(
    inputs: readonly Seq2SeqInput[],
    options?: Seq2SeqParams & {
      readonly stream?: false;
    },
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

/** New text of one input's result. */
export declare interface Seq2SeqChunk {
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

/** A text, or token ids as they are: with the EOS that the model expects, and cut off without regard to it. */
export declare type Seq2SeqInput =
  | string
  | {
      readonly ids: readonly number[];
    };

/** Sizes an encoder-decoder is set up with; `contextLength` is of the decoder, and at most 512 by default. */
export declare interface Seq2SeqLimits extends EngineLimits {
  /** Most tokens of a text to read; default: the model's own, at most 1024. */
  readonly inputLength?: number;
}

export declare type Seq2SeqOptions = Omit<LoadOptions, 'chatTemplate' | 'speculation'> &
  Seq2SeqLimits;

/**
 * How to generate, in the words of Transformers' `generate`; defaults are the model's generation_config.json. Null takes
 * away what that says.
 */
export declare interface Seq2SeqParams {
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

/** What came of one input: the best sequence, and all of them. */
export declare interface Seq2SeqResult extends Seq2SeqSequence {
  /** Best first; fewer than asked for where the rules allow no more. */
  readonly sequences: readonly Seq2SeqSequence[];
  readonly usage: Seq2SeqUsage;
}

/** One generated sequence. */
export declare interface Seq2SeqSequence {
  /** Empty where the repository has no tokenizer.json. */
  readonly text: string;
  /** Generated ids, after those the decoder began with; the EOS included. */
  readonly ids: readonly number[];
  /** Of a beam search: sum of log-probabilities / length ^ `length_penalty`. */
  readonly score?: number;
  readonly finish_reason: 'stop' | 'length';
}

/** A snapshot of an encoder-decoder. */
export declare interface Seq2SeqStats extends Omit<EngineStats, 'model' | 'totals'> {
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

export declare interface Seq2SeqUsage {
  /** Tokens that the encoder read. */
  readonly input_tokens: number;
  /** Tokens of the sequences returned. */
  readonly output_tokens: number;
}

/** A WGSL source could not be turned into shader code, or the browser's compiler refused it. */
export declare class ShaderError extends QuernError {
  readonly name = 'ShaderError';
}

/** A tensor has another shape or dtype than the operation needs. Always a defect of a model file. */
export declare class ShapeError extends QuernError {
  readonly name = 'ShapeError';
}

/**
 * Guesses the next tokens and has one step verify several. The text stays the same, token for token; it comes sooner where
 * guesses are often right and memory bandwidth is the limit. Where it does not pay it stops by itself, and tries again
 * later. `lookup` guesses that the last words go on as they did before: for texts that quote or repeat, such as edits,
 * summaries and code.
 */
export declare type SpeculationOption = 'off' | 'lookup' | DraftOptions;

/** How far one value is from the reference's. */
export declare interface TensorDifference {
  /** Largest |ours − reference|. */
  readonly maxAbs: number;
  /** Largest |reference|. */
  readonly maxRef: number;
  /** `maxAbs / maxRef`. */
  readonly rel: number;
}

/** A text part of a message in the OpenAI spelling. */
export declare interface TextPart {
  readonly type: 'text';
  readonly text: string;
}

/** Extension. Time and rate of a reply, as its caller saw them. */
export declare interface Timings {
  /** From the call to the first token, milliseconds. */
  readonly time_to_first_token_ms: number;
  /** Prompt tokens computed (not cached) per second, from the first step to the first token. */
  readonly prefill_tokens_per_second: number;
  /** Tokens per second after the first; 0 for a reply of one token. */
  readonly decode_tokens_per_second: number;
  readonly total_ms: number;
}

/** The tokenizer or its chat template is missing, of an unknown kind, or failed. */
export declare class TokenizerError extends QuernError {
  readonly name = 'TokenizerError';
}

export declare interface TokenLogprob {
  readonly token: string;
  readonly logprob: number;
  /** UTF-8 bytes of the token. */
  readonly bytes: readonly number[] | null;
}

/** Which kernels were measured to be the fastest on this adapter. */
export declare interface TuningReport {
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

export declare interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  /** Prompt tokens whose keys and values were still in the cache. */
  readonly prompt_tokens_details: {
    readonly cached_tokens: number;
  };
  /** Of an engine with `speculation`: tokens that were guessed, rightly and wrongly. */
  readonly completion_tokens_details?: {
    readonly accepted_prediction_tokens: number;
    readonly rejected_prediction_tokens: number;
  };
  readonly timings: Timings;
}

/** What matrices are stored in: `stored` is each in the form of its file. */
export declare type WeightChoice = 'stored' | Exclude<WeightOption, 'auto'>;

/** A safetensors file or its index is damaged, incomplete, or lacks a tensor. */
export declare class WeightFileError extends QuernError {
  readonly name = 'WeightFileError';
  readonly file: string;
  /** Name of the offending tensor, where there is one. */
  readonly tensor: string | undefined;
  constructor(
    file: string,
    message: string,
    options?: ErrorOptions & {
      readonly tensor?: string;
    },
  );
}

/** What a caller may ask for. */
export declare type WeightOption = 'auto' | 'f32' | 'f16' | 'q8' | 'q4';

/** What weights are stored in. */
export declare interface WeightsReport {
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

/** The worker of a model could not be started, or died. */
export declare class WorkerError extends QuernError {
  readonly name = 'WorkerError';
}

export {};
