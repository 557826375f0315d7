/** What the page does: loads models, keeps the conversation, runs one reply at a time. Knows no element. @module */
import { type ChatMessage, Engine, type EngineStats, type LoadProgress, type Usage } from 'quern';

/** A folder on a server, or files that the user picked. */
export type Place = string | readonly File[];

/** How a reply ended. */
export type Ending =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed' }
  | {
      readonly kind: 'complete';
      readonly usage: Usage | undefined;
      /** The context was full before the model had finished. */
      readonly isCut: boolean;
      /** The model saw only the end of the conversation: the rest does not fit its context. */
      readonly isShortened: boolean;
    };

/** One message and its reply on the screen. */
export interface Turn {
  append(piece: string): void;
  finish(ending: Ending): void;
  /** Takes both off the screen, and gives the message back to its writer. */
  withdraw(): void;
}

/** What the session shows. */
export interface SessionView {
  showLoading(place: Place): void;
  showProgress(progress: LoadProgress): void;
  showReady(stats: EngineStats): void;
  /** `error` is the signal's reason where the user cancelled. */
  showLoadFailure(error: unknown, isCancelled: boolean): void;
  showReplyFailure(error: unknown): void;
  clearProblem(): void;
  openTurn(message: string): Turn;
  clearTurns(): void;
  showReplying(isReplying: boolean): void;
}

interface Conversation {
  readonly messages: ChatMessage[];
  /** Tokens of the last prompt and its reply; the next prompt is longer, unless old messages were left out. */
  lastTokens: number;
  isShortened: boolean;
}

/** One model and one conversation at a time. */
export class Session {
  readonly #view: SessionView;
  #engine: Engine | undefined;
  #place: Place | undefined;
  #loading: AbortController | undefined;
  /** Ends with the last load that was asked for: they run one after another, so that two models never share the GPU. */
  #lastLoad: Promise<void> = Promise.resolve();
  #replying: AbortController | undefined;
  /** Replaced, not emptied, by a new chat: a reply that still runs keeps the old one. */
  #conversation: Conversation = newConversation();

  /** @param view - where everything is shown */
  constructor(view: SessionView) {
    this.#view = view;
  }

  /** Whether a message can be sent now. */
  get isIdle(): boolean {
    return this.#engine !== undefined && this.#replying === undefined;
  }

  /** Replaces the model; the conversation goes on. Errors are shown, never thrown. */
  load(place: Place): Promise<void> {
    this.#loading?.abort();
    this.stop();
    const loading = new AbortController();
    this.#loading = loading;
    this.#place = place;
    this.#view.clearProblem();
    this.#view.showLoading(place);
    // Another model counts other tokens.
    this.#conversation.lastTokens = 0;
    this.#conversation.isShortened = false;
    this.#lastLoad = this.#lastLoad.then(() => this.#replaceModel(place, loading));
    return this.#lastLoad;
  }

  /** Loads the model of the last load again. */
  async reload(): Promise<void> {
    if (this.#place !== undefined) await this.load(this.#place);
  }

  /** Gives up loading, after which there is no model. */
  cancelLoad(): void {
    this.#loading?.abort();
  }

  /** Asks the model for the next reply; does nothing while there is no model or a reply runs. */
  async send(message: string): Promise<void> {
    const engine = this.#engine;
    if (engine === undefined || this.#replying !== undefined) return;
    const replying = new AbortController();
    this.#replying = replying;
    this.#view.clearProblem();
    this.#view.showReplying(true);
    const conversation = this.#conversation;
    const { messages } = conversation;
    messages.push({ role: 'user', content: message });
    const turn = this.#view.openTurn(message);
    const { content, ending, error } = await this.#reply(
      engine,
      conversation,
      turn,
      replying.signal,
    );
    const isCurrent = conversation === this.#conversation;
    if (content === '' && ending.kind !== 'complete') {
      // Many chat templates insist that questions and answers alternate.
      messages.pop();
      if (isCurrent) turn.withdraw();
    } else {
      messages.push({ role: 'assistant', content });
      turn.finish(ending);
    }
    if (this.#replying === replying) {
      this.#replying = undefined;
      this.#view.showReplying(false);
    }
    if (ending.kind === 'failed' && isCurrent) this.#view.showReplyFailure(error);
  }

  /** Ends the running reply; what was said stays. */
  stop(): void {
    this.#replying?.abort();
  }

  /** Forgets the conversation. */
  newChat(): void {
    this.stop();
    this.#replying = undefined;
    this.#conversation = newConversation();
    // Without a model, the box says how to get one.
    if (this.#engine !== undefined) this.#view.clearProblem();
    this.#view.clearTurns();
    this.#view.showReplying(false);
  }

  async #replaceModel(place: Place, loading: AbortController): Promise<void> {
    const { signal } = loading;
    const previous = this.#engine;
    this.#engine = undefined;
    try {
      await previous?.dispose();
      this.#engine = await Engine.load(place, {
        signal,
        onProgress: (progress) => {
          if (!signal.aborted) this.#view.showProgress(progress);
        },
      });
    } catch (error) {
      if (this.#loading === loading) this.#view.showLoadFailure(error, signal.aborted);
      return;
    }
    if (this.#loading === loading) this.#view.showReady(await this.#engine.stats());
  }

  async #reply(
    engine: Engine,
    conversation: Conversation,
    turn: Turn,
    signal: AbortSignal,
  ): Promise<{ readonly content: string; readonly ending: Ending; readonly error?: unknown }> {
    const { messages } = conversation;
    let content = '';
    let usage: Usage | undefined;
    let isCut = false;
    try {
      const stream = await engine.chat.completions.create({
        messages,
        stream: true,
        context_overflow: 'truncate',
        signal,
      });
      for await (const { choices, usage: counted } of stream) {
        const piece = choices[0]?.delta.content ?? '';
        content += piece;
        if (piece !== '') turn.append(piece);
        isCut ||= choices[0]?.finish_reason === 'length';
        usage = counted ?? usage;
      }
    } catch (error) {
      return { content, ending: { kind: signal.aborted ? 'stopped' : 'failed' }, error };
    }
    if (usage !== undefined) {
      conversation.isShortened ||= usage.prompt_tokens < conversation.lastTokens;
      conversation.lastTokens = usage.total_tokens;
    }
    const { isShortened } = conversation;
    return { content, ending: { kind: 'complete', usage, isCut, isShortened } };
  }
}

function newConversation(): Conversation {
  return { messages: [], lastTokens: 0, isShortened: false };
}
