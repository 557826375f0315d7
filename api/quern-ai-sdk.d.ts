import type { ChatCompletionParams } from 'quern';
import type { ChatTransport } from 'ai';
import type { Engine } from 'quern';
import type { LanguageModelV4 } from '@ai-sdk/provider';
import type { LanguageModelV4CallOptions } from '@ai-sdk/provider';
import type { LanguageModelV4GenerateResult } from '@ai-sdk/provider';
import type { LanguageModelV4StreamResult } from '@ai-sdk/provider';
import type { UIMessage } from 'ai';
import type { UIMessageChunk } from 'ai';
import type { Usage } from 'quern';

/** Settings of a language model. */
export declare interface LanguageModelSettings {
  /** What the AI SDK calls the model, e.g. in its telemetry. Default `quern`. */
  readonly modelId?: string;
}

/**
 * A language model for the AI SDK's `generateText`, `streamText` and agents.
 *
 * Text in, text out: tools and JSON schemas are answered with warnings, files and tool messages with
 * `UnsupportedFunctionalityError`.
 *
 * @param engine - a loaded engine, or the promise of one that calls then wait for; it stays the caller's
 */
export declare function quern(
  engine: Engine | PromiseLike<Engine>,
  settings?: LanguageModelSettings,
): QuernLanguageModel;

/**
 * Lets `useChat` of the AI SDK talk to an engine in the page, without a server between.
 *
 * Errors reach `useChat`'s `error` as they are. The `headers`, `body` and `metadata` of a request, which are for
 * servers, are not looked at.
 */
export declare class QuernChatTransport<
  M extends UIMessage = UIMessage<ReplyMetadata>,
> implements ChatTransport<M> {
  #private;
  constructor(engine: Engine | PromiseLike<Engine>, options?: ReplyOptions);
  /** Asks for a reply to the messages. @throws {UnsupportedFunctionalityError} if they hold more than text */
  sendMessages({
    messages,
    abortSignal,
  }: Parameters<ChatTransport<M>['sendMessages']>[0]): Promise<ReadableStream<UIMessageChunk>>;
  /** A reply is made only while its page is open: there is never one to come back to. */
  reconnectToStream(): Promise<null>;
}

/** A model in this page or process, as the AI SDK sees it. https://ai-sdk.dev/providers/community-providers */
export declare class QuernLanguageModel implements LanguageModelV4 {
  #private;
  readonly specificationVersion = 'v4';
  readonly provider = 'quern';
  readonly modelId: string;
  /** None: the model reads only text. */
  readonly supportedUrls: LanguageModelV4['supportedUrls'];
  constructor(engine: Engine | PromiseLike<Engine>, { modelId }?: LanguageModelSettings);
  /** Replies at once. Errors as for `engine.chat.completions.create`. */
  doGenerate(options: LanguageModelV4CallOptions): Promise<LanguageModelV4GenerateResult>;
  /** Streams a reply. Errors before its first part reject, later ones are parts; an abort is an error of the stream. */
  doStream(options: LanguageModelV4CallOptions): Promise<LanguageModelV4StreamResult>;
}

/** What `providerOptions.quern` may hold: options of the engine that the AI SDK has no name for. */
export declare type QuernProviderOptions = Pick<
  ChatCompletionParams,
  | 'min_p'
  | 'repetition_penalty'
  | 'logit_bias'
  | 'stop_token_ids'
  | 'ignore_eos'
  | 'context_overflow'
  | 'chat_template_kwargs'
>;

/** What the transport tells with a finished reply, as the message's `metadata`. */
export declare interface ReplyMetadata {
  readonly usage: Usage;
}

/** What is asked of the model with every message. */
export declare interface ReplyOptions extends Omit<
  ChatCompletionParams,
  'model' | 'messages' | 'n' | 'signal' | 'stream' | 'stream_options' | 'logprobs' | 'top_logprobs'
> {
  /** System message, before those of the conversation. */
  readonly system?: string;
}

export {};
