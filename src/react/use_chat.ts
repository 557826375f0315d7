'use client';
/**
 * A React hook for chats with a model in the page.
 *
 * ```jsx
 * const { messages, sendMessage, status } = useChat({ model: 'owner/name', load: { worker: true } });
 * ```
 *
 * @module
 */
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import type { Engine, LoadOptions } from '../engine/api.ts';
import type { ReplyOptions } from '../engine/conversation.ts';
import type { ModelLocation } from '../weights/sources/resolve.ts';
import { Chat, type ChatSnapshot, type Message } from './chat.ts';

export type { ReplyOptions } from '../engine/conversation.ts';
export type { ChatSnapshot, ChatStatus, Message } from './chat.ts';

/** What {@link useChat} is given. Everything but `initialMessages` may change at any time. */
export interface UseChatOptions extends ReplyOptions {
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

/** What {@link useChat} gives. The functions stay the same from render to render. */
export interface UseChat extends ChatSnapshot {
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
export function useChat(options: UseChatOptions): UseChat {
  const { engine, model, load, initialMessages, ...replyOptions } = options;
  const hasModel = engine !== undefined || model !== undefined;
  const [chat] = useState(() => new Chat(initialMessages, hasModel ? 'loading' : 'idle'));
  const [loads, setLoads] = useState(0);
  const latest = useRef({ model, load });

  // Effects run in this order: what is loaded below sees the options of this render.
  useEffect(() => {
    latest.current = { model, load };
    chat.options = replyOptions;
  });
  useEffect(() => {
    if (engine !== undefined) return chat.attach(engine);
    const { model, load } = latest.current;
    return model === undefined ? undefined : chat.load(model, load);
  }, [chat, engine, model, loads]);

  const snapshot = useSyncExternalStore(chat.subscribe, chat.getSnapshot, chat.getSnapshot);
  const reload = useCallback(() => setLoads((count) => count + 1), []);
  return useMemo(() => {
    const { sendMessage, regenerate, stop, setMessages } = chat;
    return { ...snapshot, sendMessage, regenerate, stop, setMessages, reload };
  }, [chat, snapshot, reload]);
}
