import { computed, type ReadonlySignal, signal } from '@preact/signals';
import { Database, type StoredMessage } from './database.ts';
import { repairTree } from './message_tree.ts';
import { searchConversations } from './search.ts';
import type { Conversation, ConversationInfo, Keeping, Message, SearchHit } from './types.ts';
import { Unsaved } from './unsaved.ts';

/** How long a deleted conversation can be had back, in milliseconds. */
export const UNDO_MS = 10_000;

/** Longest time that a change waits to be written: what a crash can cost. */
const WRITE_DELAY_MS = 700;

/** Told which conversations another tab changed or deleted. */
export type ChangeListener = (ids: ReadonlySet<string>) => void;

/**
 * Keeps conversations in IndexedDB, and in memory where that cannot be had. Never throws for want of storage:
 * `keeping` says how things stand, and changes are written as soon as it works again.
 *
 * A change is written within 0.7 s, or by `flush`, which the page calls when it is hidden. Other tabs hear of it.
 */
export class ConversationStore {
  readonly #name: string;
  readonly #infos = signal<ReadonlyMap<string, ConversationInfo>>(new Map());
  readonly #keeping = signal<Keeping>({ kind: 'opening' });
  readonly #listeners = new Set<ChangeListener>();
  readonly #purges = new Set<ReturnType<typeof setTimeout>>();
  readonly #tabs: BroadcastChannel | undefined;
  #database: Database | undefined;
  #unsaved = new Unsaved();
  #writing: Promise<void>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Not deleted ones, the latest first. */
  readonly list: ReadonlySignal<readonly ConversationInfo[]> = computed(() =>
    [...this.#infos.value.values()]
      .filter(({ deletedAt }) => deletedAt === undefined)
      .sort((a, b) => b.updatedAt - a.updatedAt),
  );
  readonly keeping: ReadonlySignal<Keeping> = this.#keeping;
  /** When the list is complete, or cannot be had for now; never rejects. */
  readonly ready: Promise<void>;

  /** @param name - of the database */
  constructor(name = 'quern-chat') {
    this.#name = name;
    this.#tabs = 'BroadcastChannel' in globalThis ? new BroadcastChannel(name) : undefined;
    this.#tabs?.addEventListener('message', (event: MessageEvent<unknown>) => {
      if (Array.isArray(event.data)) void this.#reload(event.data.map(String));
    });
    this.ready = new Promise((resolve) => {
      void this.#open(resolve).then(resolve);
    });
    this.#writing = this.ready;
  }

  /** A conversation with all its branches; undefined if there is none, or it cannot be read. */
  async get(id: string): Promise<Conversation | undefined> {
    await this.flush();
    const info = this.#infos.peek().get(id);
    if (info === undefined || info.deletedAt !== undefined) return undefined;
    const stored = await this.#read((database) => database.messagesOf(id));
    const messages = this.#unsaved
      .applyTo(stored ?? [])
      .filter(({ conversationId }) => conversationId === id)
      .map(messageOf);
    const found = { ...info, messages };
    const whole = repairTree(found);
    // What lies on a disk that cannot be read must not look as if it had never been said.
    return stored === undefined && whole !== found ? undefined : whole;
  }

  /** All conversations that are not deleted, the latest first. */
  async all(): Promise<readonly Conversation[]> {
    await this.ready;
    const found = await Promise.all(this.list.peek().map(({ id }) => this.get(id)));
    return found.filter((conversation) => conversation !== undefined);
  }

  /**
   * Takes in a conversation's state; written soon.
   *
   * @param changed - ids of messages that are new or changed
   * @param removed - ids of messages that are no longer there
   */
  save(
    { messages, ...info }: Conversation,
    changed: Iterable<string>,
    removed: Iterable<string> = [],
  ): void {
    const conversationId = info.id;
    const ids = new Set(changed);
    for (const message of messages) {
      if (ids.has(message.id)) this.#unsaved.putMessage({ ...message, conversationId });
    }
    for (const id of removed) this.#unsaved.deleteMessage({ conversationId, id });
    this.#put([info]);
  }

  /** Gives a conversation the user's own title. */
  rename(id: string, title: string): void {
    const info = this.#infos.peek().get(id);
    if (info !== undefined) this.#put([{ ...info, title, hasOwnTitle: true }]);
  }

  /** Takes out a conversation that has become empty, for good. */
  discard(id: string): void {
    this.#unsaved.deleteConversation(id);
    this.#replace([], [id]);
    void this.flush();
  }

  /** Deletes conversations; for {@link UNDO_MS}, `restore` brings them back. */
  delete(ids: readonly string[]): void {
    const deletedAt = Date.now();
    this.#put(this.#present(ids).map((info) => ({ ...info, deletedAt })));
    for (const id of ids) this.#purgeLater(id, UNDO_MS);
    void this.flush();
  }

  /** Brings back what was deleted, if it is not too late. */
  restore(ids: readonly string[]): void {
    this.#put(this.#present(ids).map(undeleted));
    void this.flush();
  }

  /**
   * Takes in conversations from elsewhere. Of one that is here already, messages that are missing are added, and the
   * later of both titles, settings and shown branches stays.
   */
  async import(conversations: readonly Conversation[]): Promise<void> {
    await this.ready;
    for (const conversation of conversations) {
      const here = this.#infos.peek().get(conversation.id);
      const isNewer = here === undefined || here.deletedAt !== undefined;
      const info = isNewer || here.updatedAt < conversation.updatedAt ? conversation : here;
      const merged = { ...info, messages: conversation.messages };
      this.save(merged, new Set(conversation.messages.map(({ id }) => id)));
    }
    await this.flush();
  }

  /** Conversations in which every word of a query occurs, the latest first; all of them for a query without words. */
  async search(query: string): Promise<readonly SearchHit[]> {
    await this.flush();
    const messages = await this.#read((database) => database.allMessages());
    return searchConversations(query, this.list.peek(), this.#unsaved.applyTo(messages ?? []));
  }

  /** Writes everything now. Never rejects: what cannot be written stays in memory. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  /** @returns a function that ends it */
  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Writes everything and lets go of the database. */
  async close(): Promise<void> {
    await this.flush();
    for (const timer of this.#purges) clearTimeout(timer);
    this.#tabs?.close();
    this.#database?.close();
    this.#database = undefined;
  }

  /** @param onBlocked - called if another tab is in the way, which may take long to go */
  async #open(onBlocked: () => void): Promise<void> {
    try {
      this.#database = await Database.open(this.#name, {
        onBlocked: () => {
          this.#keepInMemory('blocked');
          onBlocked();
        },
        onClosed: (isOutdated) => {
          this.#database = undefined;
          if (isOutdated) this.#keepInMemory('outdated');
          // The browser closed it, e.g. because its data were cleared: another one can be opened.
          else void this.#open(() => {});
        },
      });
      this.#keeping.value = { kind: 'kept' };
      const infos = await this.#database.allInfos();
      this.#replace([...infos, ...this.#unsaved.infos]);
      for (const { id, deletedAt } of infos) {
        if (deletedAt !== undefined) this.#purgeLater(id, deletedAt + UNDO_MS - Date.now());
      }
      // Not awaited: writing waits for `ready`.
      void this.flush();
    } catch (error) {
      this.#database = undefined;
      this.#keepInMemory(whyNot(error));
    }
  }

  /** @returns what is on the disk; undefined where that cannot be read */
  async #read<T>(read: (database: Database) => Promise<T>): Promise<T | undefined> {
    if (this.#database === undefined) return undefined;
    try {
      return await read(this.#database);
    } catch (error) {
      this.#keepInMemory(whyNot(error));
      return undefined;
    }
  }

  async #write(): Promise<void> {
    if (this.#database === undefined || this.#unsaved.isEmpty) return;
    const changes = this.#unsaved;
    this.#unsaved = new Unsaved();
    try {
      await this.#database.write(changes);
      this.#keeping.value = { kind: 'kept' };
      const ids = [...Array.from(changes.infos, ({ id }) => id), ...changes.deletedConversations];
      this.#tabs?.postMessage(ids);
    } catch (error) {
      changes.add(this.#unsaved);
      this.#unsaved = changes;
      this.#keepInMemory(whyNot(error));
    }
  }

  #put(infos: readonly ConversationInfo[]): void {
    for (const info of infos) this.#unsaved.putInfo(info);
    this.#replace(infos);
    this.#timer ??= setTimeout(() => void this.flush(), WRITE_DELAY_MS);
  }

  #replace(infos: readonly ConversationInfo[], gone: readonly string[] = []): void {
    const map = new Map(this.#infos.peek());
    for (const info of infos) map.set(info.id, info);
    for (const id of gone) map.delete(id);
    this.#infos.value = map;
  }

  #present(ids: readonly string[]): readonly ConversationInfo[] {
    return ids.map((id) => this.#infos.peek().get(id)).filter((info) => info !== undefined);
  }

  #purgeLater(id: string, delayMs: number): void {
    const timer = setTimeout(
      () => {
        this.#purges.delete(timer);
        const deletedAt = this.#infos.peek().get(id)?.deletedAt;
        // Brought back, and perhaps deleted again meanwhile.
        if (deletedAt === undefined || deletedAt + UNDO_MS > Date.now()) return;
        this.discard(id);
      },
      Math.max(0, delayMs),
    );
    this.#purges.add(timer);
  }

  /** Another tab has written conversations. */
  async #reload(ids: readonly string[]): Promise<void> {
    const stored = await this.#read((database) => database.infosOf(ids));
    if (stored === undefined) return;
    const gone = ids.filter((id) => stored.every((info) => info.id !== id));
    for (const { id, deletedAt } of stored) if (deletedAt !== undefined) this.#unsaved.forget(id);
    for (const id of gone) this.#unsaved.forget(id);
    this.#replace(stored, gone);
    for (const listener of this.#listeners) listener(new Set(ids));
  }

  #keepInMemory(why: Extract<Keeping, { kind: 'memory' }>['why']): void {
    this.#keeping.value = { kind: 'memory', why };
  }
}

function messageOf(stored: StoredMessage): Message {
  const { conversationId: _, ...message } = stored;
  return message;
}

function undeleted(info: ConversationInfo): ConversationInfo {
  const { deletedAt: _, ...rest } = info;
  return rest;
}

function whyNot(error: unknown): Extract<Keeping, { kind: 'memory' }>['why'] {
  const name = error instanceof Error ? error.name : '';
  if (name === 'QuotaExceededError') return 'full';
  // Storage forbidden by the user: SecurityError; Firefox in some private windows: InvalidStateError.
  const factory: IDBFactory | undefined = globalThis.indexedDB;
  if (factory === undefined) return 'missing';
  if (['InvalidStateError', 'SecurityError'].includes(name)) return 'missing';
  // An older page after a newer one: https://w3c.github.io/IndexedDB/#open-a-database-connection
  return name === 'VersionError' ? 'outdated' : 'broken';
}
