import type { ChatCompletionParams } from 'quern';
import { Engine } from 'quern';
import type { FinishReason } from 'quern';
import type { LoadOptions } from 'quern';
import type { LoadProgress } from 'quern';
import type { ModelLocation } from 'quern';
import type { Usage } from 'quern';

/** What a view shows. A new object whenever something has changed. */
export declare interface ChatSnapshot {
  readonly messages: readonly Message[];
  readonly status: ChatStatus;
  readonly error: Error | undefined;
  /** How far loading has come, while `status` is `loading`. */
  readonly progress: LoadProgress | undefined;
  readonly engine: Engine | undefined;
}

/**
 * - `idle`: there is no model;
 * - `loading`: the model is being loaded;
 * - `ready`: a message can be sent;
 * - `submitted`: a message was sent, the reply has not begun;
 * - `streaming`: the reply is being made;
 * - `error`: see `error`. If `engine` is there, it was the reply that failed, and a message can be sent.
 */
export declare type ChatStatus = 'idle' | 'loading' | 'ready' | 'submitted' | 'streaming' | 'error';

/** A message of the conversation. */
export declare interface Message {
  /** Unique in the conversation, e.g. for React's `key`. */
  readonly id: string;
  readonly role: 'user' | 'assistant';
  readonly content: string;
  /** Of a reply that has ended by itself. */
  readonly finishReason?: FinishReason;
  readonly usage?: Usage;
}

/** What is asked of the model with every message. */
export declare interface ReplyOptions extends Omit<
  ChatCompletionParams,
  'model' | 'messages' | 'n' | 'signal' | 'stream' | 'stream_options' | 'logprobs' | 'top_logprobs'
> {
  /** System message, before those of the conversation. */
  readonly system?: string;
}

/** What {@link useChat} gives. The functions stay the same from render to render. */
export declare interface UseChat extends ChatSnapshot {
  /**
   * Adds a message and asks for the reply; while the model is being loaded, it waits for it. Resolves when the reply
   * has ended. What goes wrong meanwhile is told by `error`, not by the promise.
   *
   * @throws {RequestError} if a reply is being made already, or there is no model
   */
  readonly sendMessage: (content: string) => Promise<void>;
  /**
   * Replaces the last reply, or the one with this id (or to the message with this id) and all that follows. Also what
   * to do after an error.
   *
   * @throws {RequestError} as `sendMessage`, or if there is nothing to reply to
   */
  readonly regenerate: (messageId?: string) => Promise<void>;
  /** Ends the reply; what was said stays. */
  readonly stop: () => void;
  /** Replaces the conversation; a reply that runs is stopped. */
  readonly setMessages: (
    messages: readonly Message[] | ((messages: readonly Message[]) => readonly Message[]),
  ) => void;
  /** Loads `model` again, after loading has failed or its engine has. */
  readonly reload: () => void;
}

/**
 * A chat with a model: loads it, keeps the conversation, streams replies.
 *
 * Unmounting ends whatever runs. It renders on a server, where nothing is loaded.
 */
export declare function useChat(options: UseChatOptions): UseChat;

/** What {@link useChat} is given. Everything but `initialMessages` may change at any time. */
export declare interface UseChatOptions extends ReplyOptions {
  /** An engine of yours, which stays yours. Then `model` is not looked at. */
  readonly engine?: Engine | undefined;
  /**
   * Model to load when the component mounts; another one replaces it, and unmounting disposes it. Lists of files and
   * the like are compared by identity: keep them in a state or a ref.
   */
  readonly model?: ModelLocation | undefined;
  /** How to load `model`; read when loading begins. As with `Engine.load`, `worker: true` keeps it off this thread. */
  readonly load?: LoadOptions | undefined;
  readonly initialMessages?: readonly Message[] | undefined;
}

export {};
