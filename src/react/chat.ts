/** A conversation with a model, for views of any kind: nothing here knows React. @module */
import { Engine } from '../load.ts';
import type { LoadOptions, LoadProgress } from '../engine/api.ts';
import { replyRequest, type ReplyOptions } from '../engine/conversation.ts';
import type { FinishReason, Usage } from '../engine/openai.ts';
import { RequestError } from '../util/errors.ts';
import { orAbort } from '../util/or_abort.ts';
import type { ModelLocation } from '../weights/sources/resolve.ts';

/** A message of the conversation. */
export interface Message {
  /** Unique in the conversation, e.g. for React's `key`. */
  readonly id: string;
  readonly role: 'user' | 'assistant';
  readonly content: string;
  /** Of a reply that has ended by itself. */
  readonly finishReason?: FinishReason;
  readonly usage?: Usage;
}

/**
 * - `idle`: there is no model;
 * - `loading`: the model is being loaded;
 * - `ready`: a message can be sent;
 * - `submitted`: a message was sent, the reply has not begun;
 * - `streaming`: the reply is being made;
 * - `error`: see `error`. If `engine` is there, it was the reply that failed, and a message can be sent.
 */
export type ChatStatus = 'idle' | 'loading' | 'ready' | 'submitted' | 'streaming' | 'error';

/** What a view shows. A new object whenever something has changed. */
export interface ChatSnapshot {
  readonly messages: readonly Message[];
  readonly status: ChatStatus;
  readonly error: Error | undefined;
  /** How far loading has come, while `status` is `loading`. */
  readonly progress: LoadProgress | undefined;
  readonly engine: Engine | undefined;
}

/** One conversation; sends one message at a time. */
export class Chat {
  /** Used from the next reply on. */
  options: ReplyOptions = {};
  #snapshot: ChatSnapshot;
  readonly #listeners = new Set<() => void>();
  #replying: AbortController | undefined;
  /** Told when the model is there, or will not come. */
  #arrival: PromiseWithResolvers<Engine> | undefined;
  /** Models are loaded one after another, so that two never share the GPU. */
  #lastUnload: Promise<unknown> = Promise.resolve();

  /** @param status - what to show until `attach` or `load` is called */
  constructor(messages: readonly Message[] = [], status: 'idle' | 'loading' = 'idle') {
    this.#snapshot = {
      messages,
      status,
      error: undefined,
      progress: undefined,
      engine: undefined,
    };
  }

  readonly getSnapshot = (): ChatSnapshot => this.#snapshot;

  /** @returns what ends the subscription */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** Talks to an engine that stays the caller's. @returns what takes it away again */
  attach(engine: Engine): () => void {
    this.#set({ engine, status: 'ready', error: undefined, progress: undefined });
    return () => this.#detach();
  }

  /** Loads a model and talks to it. @returns what ends loading, or disposes the engine */
  load(from: ModelLocation, options: LoadOptions = {}): () => void {
    const loading = new AbortController();
    const arrival = newArrival();
    this.#arrival = arrival;
    this.#set({ status: 'loading', error: undefined, progress: undefined });
    const engine = this.#lastUnload.then(() => {
      // React's strict mode mounts twice: the first model is given up before anything is fetched.
      loading.signal.throwIfAborted();
      const signals = options.signal ? [options.signal] : [];
      return Engine.load(from, {
        ...options,
        signal: AbortSignal.any([loading.signal, ...signals]),
        onProgress: (progress) => {
          options.onProgress?.(progress);
          if (!loading.signal.aborted) this.#set({ progress });
        },
      });
    });
    engine.then(
      (loaded) => {
        if (loading.signal.aborted) return;
        this.#set({ engine: loaded, status: 'ready', progress: undefined });
        arrival.resolve(loaded);
      },
      (error: unknown) => {
        arrival.reject(error);
        if (loading.signal.aborted) return;
        this.#set({ status: 'error', error: toError(error), progress: undefined });
      },
    );
    return () => {
      loading.abort(new DOMException('the model is no longer wanted', 'AbortError'));
      this.#lastUnload = engine.then(
        (loaded) => loaded.dispose(),
        () => undefined,
      );
      arrival.reject(loading.signal.reason);
      this.#detach();
    };
  }

  /** Asks for a reply to one more message. See `UseChat.sendMessage`. */
  readonly sendMessage = (content: string): Promise<void> => {
    const { messages } = this.#snapshot;
    return this.#reply([...messages, { id: newId(), role: 'user', content }]);
  };

  /** Asks anew for a reply. See `UseChat.regenerate`. */
  readonly regenerate = (messageId?: string): Promise<void> => {
    const { messages } = this.#snapshot;
    const given = messages.findIndex(({ id }) => id === messageId);
    const last = messageId === undefined ? messages.length - 1 : given;
    const question = messages.findLastIndex(({ role }, i) => i <= last && role === 'user');
    if (question === -1) {
      return Promise.reject(
        new RequestError('useChat: there is no message to reply to; call sendMessage first'),
      );
    }
    return this.#reply(messages.slice(0, question + 1));
  };

  /** Ends the reply; what was said stays. */
  readonly stop = (): void => this.#end();

  /** Replaces the conversation; a reply that runs is stopped and dropped. */
  readonly setMessages = (
    messages: readonly Message[] | ((messages: readonly Message[]) => readonly Message[]),
  ): void => {
    this.#end();
    this.#set({
      messages: typeof messages === 'function' ? messages(this.#snapshot.messages) : messages,
    });
  };

  async #reply(messages: readonly Message[]): Promise<void> {
    const { engine, status } = this.#snapshot;
    const model = engine ?? (status === 'loading' ? this.#arrival?.promise : undefined);
    if (this.#replying !== undefined) {
      throw new RequestError('useChat: a reply is being made; call stop() or wait for it');
    }
    if (model === undefined) {
      throw new RequestError(
        'useChat: there is no model; give it one, or reload() if it failed to load',
      );
    }
    const replying = new AbortController();
    const { signal } = replying;
    this.#replying = replying;
    this.#set({ messages, ...(engine && { status: 'submitted', error: undefined }) });
    let failure: unknown;
    try {
      const ready = await orAbort(Promise.resolve(model), signal);
      await this.#stream(ready, messages, signal);
    } catch (error) {
      failure = error;
    }
    // Else the conversation has gone on without this reply.
    if (this.#replying !== replying) return;
    this.#replying = undefined;
    // While a model is loaded, or has failed to, that is what the view shows.
    if (this.#snapshot.engine === undefined) return;
    this.#set(
      failure === undefined
        ? { status: 'ready', error: undefined }
        : { status: 'error', error: toError(failure) },
    );
  }

  async #stream(engine: Engine, asked: readonly Message[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted(); // the model may have come just before
    if (this.#snapshot.status !== 'submitted') this.#set({ status: 'submitted', error: undefined });
    const stream = await engine.chat.completions.create({
      ...replyRequest(asked, this.options),
      stream: true,
      signal,
    });
    let reply: Message = { id: newId(), role: 'assistant', content: '' };
    for await (const { choices, usage } of stream) {
      if (signal.aborted) return;
      const [choice] = choices;
      const piece = choice?.delta.content ?? '';
      const finishReason = choice?.finish_reason ?? undefined;
      if (piece === '' && finishReason === undefined) continue;
      reply = {
        ...reply,
        content: reply.content + piece,
        ...(finishReason && { finishReason }),
        ...(usage && { usage }),
      };
      this.#set({ status: 'streaming', messages: [...asked, reply] });
    }
  }

  /** The engine is going. */
  #detach(): void {
    this.#end();
    this.#arrival = undefined;
    this.#set({ engine: undefined, status: 'idle', error: undefined, progress: undefined });
  }

  /** Stops the reply and forgets it: whatever it still does changes nothing. */
  #end(): void {
    const replying = this.#replying;
    this.#replying = undefined;
    replying?.abort();
    const { status } = this.#snapshot;
    if (status === 'submitted' || status === 'streaming') this.#set({ status: 'ready' });
  }

  #set(change: Partial<ChatSnapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change };
    for (const listener of this.#listeners) listener();
  }
}

/** As Promise.withResolvers, which not every browser with WebGPU has. A rejection may go unheard. */
function newArrival(): PromiseWithResolvers<Engine> {
  let resolve: PromiseWithResolvers<Engine>['resolve'] = () => undefined;
  let reject: PromiseWithResolvers<Engine>['reject'] = () => undefined;
  const promise = new Promise<Engine>((...both) => {
    [resolve, reject] = both;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

function newId(): string {
  // crypto.randomUUID needs HTTPS, as WebGPU does, but `attach` takes engines from anywhere.
  return Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join('');
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error), { cause: error });
}
