/**
 * Shapes of requests and replies: OpenAI's where OpenAI has one, with the few extensions a local engine needs
 * (marked "extension").
 *
 * https://platform.openai.com/docs/api-reference/chat, …/completions
 *
 * @module
 */
import type { ChatMessage } from '../tokenizer/chat_template.ts';

/** Options that chat and plain completions share. */
export interface GenerationParams {
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
  readonly stream_options?: { readonly include_usage?: boolean } | null;
  /** Extension. Cancels the request at any moment: its promise or stream ends with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface ChatCompletionParams extends GenerationParams {
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

export interface CompletionParams extends GenerationParams {
  /** Text, token ids, or several of either. */
  readonly prompt: string | readonly string[] | readonly number[] | readonly (readonly number[])[];
  readonly stream?: boolean | null;
  /** Alternatives per token, 0–20. */
  readonly logprobs?: number | null;
  /** Puts the prompt before each reply. */
  readonly echo?: boolean | null;
}

/** Why a reply ended: the model or a stop rule, or a length limit. */
export type FinishReason = 'stop' | 'length';

/** Extension. Time and rate of a reply, as its caller saw them. */
export interface Timings {
  /** From the call to the first token, milliseconds. */
  readonly time_to_first_token_ms: number;
  /** Prompt tokens computed (not cached) per second, from the first step to the first token. */
  readonly prefill_tokens_per_second: number;
  /** Tokens per second after the first; 0 for a reply of one token. */
  readonly decode_tokens_per_second: number;
  readonly total_ms: number;
}

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  /** Prompt tokens whose keys and values were still in the cache. */
  readonly prompt_tokens_details: { readonly cached_tokens: number };
  /** Of an engine with `speculation`: tokens that were guessed, rightly and wrongly. */
  readonly completion_tokens_details?: {
    readonly accepted_prediction_tokens: number;
    readonly rejected_prediction_tokens: number;
  };
  readonly timings: Timings;
}

export interface TokenLogprob {
  readonly token: string;
  readonly logprob: number;
  /** UTF-8 bytes of the token. */
  readonly bytes: readonly number[] | null;
}

export interface ChatLogprobs {
  readonly content: readonly (TokenLogprob & { readonly top_logprobs: readonly TokenLogprob[] })[];
}

export interface ChatCompletion {
  readonly id: string;
  readonly object: 'chat.completion';
  /** Unix time in seconds. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly message: { readonly role: 'assistant'; readonly content: string };
    readonly finish_reason: FinishReason;
    readonly logprobs: ChatLogprobs | null;
  }[];
  readonly usage: Usage;
}

export interface ChatCompletionChunk {
  readonly id: string;
  readonly object: 'chat.completion.chunk';
  readonly created: number;
  readonly model: string;
  /** Empty only in the usage chunk that `stream_options.include_usage` asks for. */
  readonly choices: readonly {
    readonly index: number;
    readonly delta: { readonly role?: 'assistant'; readonly content?: string };
    readonly finish_reason: FinishReason | null;
    readonly logprobs: ChatLogprobs | null;
  }[];
  /** On the last chunk of the stream. */
  readonly usage?: Usage;
}

export interface CompletionLogprobs {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly number[];
  readonly top_logprobs: readonly Readonly<Record<string, number>>[];
  /** Offset of each token in the reply, in UTF-16 units. */
  readonly text_offset: readonly number[];
}

export interface CompletionChoice<Reason> {
  readonly index: number;
  readonly text: string;
  readonly finish_reason: Reason;
  readonly logprobs: CompletionLogprobs | null;
}

export interface Completion {
  readonly id: string;
  readonly object: 'text_completion';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly CompletionChoice<FinishReason>[];
  readonly usage: Usage;
}

/** One piece of a streamed completion. */
export interface CompletionChunk {
  readonly id: string;
  readonly object: 'text_completion';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly CompletionChoice<FinishReason | null>[];
  readonly usage?: Usage;
}
