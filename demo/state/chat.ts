import { batch, computed, type ReadonlySignal, type Signal, signal } from '@preact/signals';
import { DeviceLostError, type Engine, WorkerError } from 'quern';
import { explainReplyFailure, type Problem } from '../problem.ts';
import { contextUseOf } from './context_use.ts';
import type { ConversationStore } from './conversation_store.ts';
import {
  addMessage,
  findMessage,
  pathOf,
  pathTo,
  removeBranch,
  selectBranch,
  updateReply,
} from './message_tree.ts';
import { nameOfModel } from './model_choice.ts';
import type { ModelHost } from './model_host.ts';
import { emptyReply, newConversation, userMessage, withTitle } from './new.ts';
import { type ReplyEnd, streamReply } from './reply.ts';
import type { ContextUse, Conversation, Message, Replying, Settings } from './types.ts';

/** A conversation at hand: the open one, and those in which a reply is written meanwhile. */
type Live = Signal<Conversation>;

/** A reply that is being written. */
interface Writing extends Replying {
  readonly engine: Engine;
  readonly content: Signal<string>;
  readonly abort: AbortController;
}

/** What happens to what the user wrote when the model says nothing at all. */
type IfSilent = 'give back' | 'drop reply' | 'keep';

/** What a chat is made with. */
export interface ChatOptions {
  readonly store: ConversationStore;
  readonly host: ModelHost;
  /** Calls back before the next paint; the text of a reply grows then, however fast the tokens come. */
  readonly nextFrame?: (callback: () => void) => void;
}

/** The conversation on the screen: what the user does to it, and the replies to it. */
export class Chat {
  readonly #store: ConversationStore;
  readonly #host: ModelHost;
  readonly #nextFrame: (callback: () => void) => void;
  readonly #current: Signal<Live> = signal(signal(newConversation()));
  /** By conversation: there is at most one in each, and they run at once. */
  readonly #writing = signal<ReadonlyMap<string, Writing>>(new Map());
  readonly #live = new Map<string, Live>();
  /** Counts what was opened, so that the last one wins. */
  #opened = 0;

  /** What the user is writing. */
  readonly draft: Signal<string> = signal('');
  /** Why the last reply in view failed. */
  readonly problem: Signal<Problem | undefined> = signal();
  /** A new one is not in the list before its first message. */
  readonly conversation: ReadonlySignal<Conversation> = computed(() => this.#current.value.value);
  /** The branch that is shown. The text of the reply under way is in `replyText`, not here. */
  readonly path: ReadonlySignal<readonly Message[]> = computed(() =>
    pathOf(this.conversation.value),
  );
  /** The reply under way in this conversation. */
  readonly replying: ReadonlySignal<Replying | undefined> = computed(() =>
    this.#writing.value.get(this.conversation.value.id),
  );
  /** Conversations in which a reply is under way. */
  readonly replyingIds: ReadonlySignal<ReadonlySet<string>> = computed(
    () => new Set(this.#writing.value.keys()),
  );
  /** Text of the reply under way; changes at most once a frame. */
  readonly replyText: ReadonlySignal<string> = computed(
    () => this.#writing.value.get(this.conversation.value.id)?.content.value ?? '',
  );
  /** Missing before the first reply, and while no model is loaded. */
  readonly contextUse: ReadonlySignal<ContextUse | undefined> = computed(() =>
    contextUseOf(this.#host.state.value, this.path.value),
  );

  constructor({ store, host, nextFrame = beforePaint }: ChatOptions) {
    this.#store = store;
    this.#host = host;
    this.#nextFrame = nextFrame;
    store.onChange((ids) => void this.#takeChanges(ids));
  }

  /** Whether a message can be sent now: there is a model, and no reply under way here. */
  get canSend(): boolean {
    const { kind } = this.#host.state.value;
    return (kind === 'ready' || kind === 'recovering') && this.replying.value === undefined;
  }

  /** Sends a message at the end of the branch. Without a model, or during a reply, it goes back to the draft. */
  async send(text: string): Promise<void> {
    const live = this.#current.peek();
    const message = userMessage(text, live.peek().headId);
    if (!this.#canReply(live)) {
      this.#giveBack(text);
      return;
    }
    this.#change(live, addMessage(live.peek(), message), [message.id]);
    await this.#reply(live, message, 'give back');
  }

  /** Sends another wording of a message, as a branch beside it. */
  async edit(messageId: string, text: string): Promise<void> {
    const live = this.#current.peek();
    const edited = findMessage(live.peek(), messageId);
    if (edited?.role !== 'user' || !this.#canReply(live)) return;
    const message = userMessage(text, edited.parentId);
    this.#change(live, addMessage(live.peek(), message), [message.id]);
    await this.#reply(live, message, 'keep');
  }

  /** Asks for another reply to the same message, as a branch beside the first. */
  async regenerate(replyId: string): Promise<void> {
    const live = this.#current.peek();
    const parentId = findMessage(live.peek(), replyId)?.parentId ?? null;
    const question = parentId === null ? undefined : findMessage(live.peek(), parentId);
    if (question?.role === 'user' && this.#canReply(live)) {
      await this.#reply(live, question, 'drop reply');
    }
  }

  /** Ends the reply under way in this conversation; what was said stays. */
  stop(): void {
    this.#writing.peek().get(this.conversation.peek().id)?.abort.abort();
  }

  /** Shows the branch that begins with a message; not during a reply. */
  selectBranch(messageId: string): void {
    const live = this.#current.peek();
    if (this.#isWriting(live)) return;
    this.#change(live, selectBranch(live.peek(), messageId), []);
  }

  /** Removes a message and all that follow it on its branch; not during a reply. */
  removeMessage(messageId: string): void {
    const live = this.#current.peek();
    if (!this.#isWriting(live)) this.#remove(live, messageId);
  }

  /** Begins a conversation, with the instructions and settings of the present one. */
  newChat(): void {
    this.#opened += 1;
    const { systemPrompt, settings } = this.conversation.peek();
    this.#show(signal({ ...newConversation(), systemPrompt, settings }));
  }

  /** Opens a conversation; replies under way in others go on. @returns whether there is such a conversation */
  async open(id: string): Promise<boolean> {
    this.#opened += 1;
    const turn = this.#opened;
    const live = this.#live.get(id);
    if (live !== undefined) {
      this.#show(live);
      return true;
    }
    const conversation = await this.#store.get(id);
    if (conversation === undefined) return false;
    // The user has gone on to another one meanwhile.
    if (turn === this.#opened) this.#show(signal(conversation));
    return true;
  }

  /** Gives a conversation, open or not, the user's own title. */
  rename(id: string, title: string): void {
    const live = this.#find(id);
    if (live !== undefined) live.value = { ...live.peek(), title, hasOwnTitle: true };
    this.#store.rename(id, title);
  }

  /** Deletes conversations, open or not; `store.restore` has them back for some seconds. */
  delete(ids: readonly string[]): void {
    for (const id of ids) this.#writing.peek().get(id)?.abort.abort();
    this.#store.delete(ids);
    for (const id of ids) this.#live.delete(id);
    if (ids.includes(this.conversation.peek().id)) this.newChat();
  }

  /** Changes the settings of this conversation; they hold from the next reply on. */
  setSettings(settings: Settings): void {
    this.#setInfo({ settings });
  }

  /** Changes what the model is told before the conversation; empty: nothing. */
  setSystemPrompt(systemPrompt: string): void {
    this.#setInfo({ systemPrompt });
  }

  #setInfo(changes: Pick<Conversation, 'settings'> | Pick<Conversation, 'systemPrompt'>): void {
    const live = this.#current.peek();
    const conversation = { ...live.peek(), ...changes };
    live.value = conversation;
    // One without messages is not worth a place in the list.
    if (conversation.messages.length > 0) this.#store.save(conversation, []);
  }

  #show(live: Live): void {
    const left = this.#current.peek();
    batch(() => {
      this.#current.value = live;
      this.problem.value = undefined;
    });
    if (!this.#isWriting(left)) this.#live.delete(left.peek().id);
    this.#live.set(live.peek().id, live);
  }

  #find(id: string): Live | undefined {
    const current = this.#current.peek();
    return current.peek().id === id ? current : this.#live.get(id);
  }

  #isWriting(live: Live): boolean {
    return this.#writing.peek().has(live.peek().id);
  }

  #canReply(live: Live): boolean {
    return this.#host.engine !== undefined && !this.#isWriting(live);
  }

  #giveBack(text: string): void {
    this.draft.value = [text, this.draft.peek()].filter((part) => part !== '').join('\n');
  }

  /** Replaces a conversation's state and has it written, with the messages that changed. */
  #change(live: Live, conversation: Conversation, changed: readonly string[]): void {
    if (conversation === live.peek()) return;
    live.value = {
      ...conversation,
      updatedAt: changed.length > 0 ? Date.now() : conversation.updatedAt,
    };
    this.#live.set(conversation.id, live);
    this.#store.save(live.peek(), changed);
  }

  #remove(live: Live, messageId: string): void {
    const before = live.peek();
    const after = removeBranch(before, messageId);
    if (after === before) return;
    const left = new Set(after.messages.map(({ id }) => id));
    const removed = before.messages.map(({ id }) => id).filter((id) => !left.has(id));
    live.value = after;
    if (after.messages.length === 0) this.#store.discard(after.id);
    else this.#store.save(after, [], removed);
  }

  async #reply(live: Live, question: Message, ifSilent: IfSilent): Promise<void> {
    const engine = this.#host.engine;
    const state = this.#host.state.peek();
    if (engine === undefined || !('stats' in state)) return;
    const { id: conversationId } = live.peek();
    const model = nameOfModel(state);
    const reply = emptyReply(question.id, model);
    const writing: Writing = {
      conversationId,
      messageId: reply.id,
      engine,
      content: signal(''),
      abort: new AbortController(),
    };
    const before = pathTo(live.peek(), question.id);
    batch(() => {
      this.problem.value = undefined;
      this.#change(live, withTitle(addMessage(live.peek(), reply)), [reply.id]);
      this.#setWriting(conversationId, writing);
    });
    // What the user wrote must not be lost by a crash of the GPU's driver, of all things.
    void this.#store.flush();
    const end = await streamReply(engine, live.peek(), before, {
      model,
      signal: writing.abort.signal,
      onText: this.#follow(live, writing),
    });
    this.#finish(live, writing, end, question, ifSilent);
  }

  /** Shows the text before the next paint, and keeps it safe meanwhile. */
  #follow(live: Live, writing: Writing): (text: string) => void {
    let latest = '';
    let isAwaited = false;
    return (text) => {
      // Deleted meanwhile; writing would bring it back.
      if (this.#live.get(writing.conversationId) !== live) return;
      latest = text;
      this.#store.save(updateReply(live.peek(), writing.messageId, { content: text }), [
        writing.messageId,
      ]);
      if (isAwaited) return;
      isAwaited = true;
      this.#nextFrame(() => {
        isAwaited = false;
        writing.content.value = latest;
      });
    };
  }

  #finish(
    live: Live,
    { conversationId, messageId, engine }: Writing,
    end: ReplyEnd,
    question: Message,
    ifSilent: IfSilent,
  ): void {
    const { error, ...changes } = end;
    const isSilent = end.content === '' && (end.ending === 'stopped' || end.ending === 'failed');
    const isHere = live === this.#current.peek();
    const isKept = this.#live.get(conversationId) === live;
    batch(() => {
      this.#setWriting(conversationId, undefined);
      // Deleted meanwhile, here or in another tab.
      if (!isKept) return;
      if (!isSilent || ifSilent === 'keep') {
        this.#change(live, updateReply(live.peek(), messageId, changes), [messageId]);
      } else {
        // Many chat templates insist that questions and answers alternate.
        this.#remove(live, ifSilent === 'give back' ? question.id : messageId);
        if (ifSilent === 'give back' && isHere) this.#giveBack(question.content);
      }
      if (end.ending === 'failed') this.#showFailure(engine, error, isHere);
    });
    if (isKept && !isHere) this.#live.delete(conversationId);
    void this.#store.flush();
    void this.#host.refresh();
  }

  #showFailure(engine: Engine, error: unknown, isHere: boolean): void {
    if (error instanceof DeviceLostError || error instanceof WorkerError) {
      // The model is gone for all conversations: that is for the host to say.
      this.#host.fail(engine, error);
    } else if (isHere) {
      this.problem.value = explainReplyFailure(error);
    }
  }

  #setWriting(id: string, writing: Writing | undefined): void {
    const map = new Map(this.#writing.peek());
    if (writing === undefined) map.delete(id);
    else map.set(id, writing);
    this.#writing.value = map;
  }

  /** Another tab has changed conversations: what is open here follows, but for one in which a reply is written. */
  async #takeChanges(ids: ReadonlySet<string>): Promise<void> {
    for (const id of ids) {
      const live = this.#find(id);
      if (live === undefined || live.peek().messages.length === 0) continue;
      const stored = await this.#store.get(id);
      if (stored === undefined) {
        this.#writing.peek().get(id)?.abort.abort();
        this.#live.delete(id);
        if (live === this.#current.peek()) this.newChat();
      } else if (!this.#isWriting(live)) {
        live.value = selectBranch(stored, live.peek().headId ?? '');
      }
    }
  }
}

function beforePaint(callback: () => void): void {
  requestAnimationFrame(callback);
}
