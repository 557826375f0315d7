/** The IndexedDB of the chat page: conversations and, apart from them, their messages. @module */
import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import type { ConversationInfo, Message } from './types.ts';

/** A message with the conversation it belongs to: tabs that write to the same one add to each other's branches. */
export type StoredMessage = Message & { readonly conversationId: string };

interface Schema extends DBSchema {
  readonly conversations: { readonly key: string; readonly value: ConversationInfo };
  readonly messages: {
    readonly key: [conversationId: string, id: string];
    readonly value: StoredMessage;
  };
}

const VERSION = 1;

/** Told by other tabs and by the browser. */
export interface DatabaseEvents {
  /** A tab with an older version of the page has not closed its connection yet. */
  readonly onBlocked: () => void;
  /** A newer version of the page wants to change the database, or the browser took it away: it is closed. */
  readonly onClosed: (isOutdated: boolean) => void;
}

/** What is to be written together. */
export interface Changes {
  readonly infos: Iterable<ConversationInfo>;
  readonly messages: Iterable<StoredMessage>;
  readonly deletedMessages: Iterable<Pick<StoredMessage, 'conversationId' | 'id'>>;
  readonly deletedConversations: Iterable<string>;
}

/** An open database. */
export class Database {
  readonly #db: IDBPDatabase<Schema>;

  private constructor(db: IDBPDatabase<Schema>) {
    this.#db = db;
  }

  /** @throws whatever IndexedDB throws, and ReferenceError where the browser has none */
  static async open(name: string, { onBlocked, onClosed }: DatabaseEvents): Promise<Database> {
    const db: IDBPDatabase<Schema> = await openDB<Schema>(name, VERSION, {
      upgrade(db, oldVersion) {
        if (oldVersion < 1) {
          db.createObjectStore('conversations', { keyPath: 'id' });
          db.createObjectStore('messages', { keyPath: ['conversationId', 'id'] });
        }
      },
      blocked: onBlocked,
      blocking() {
        // Holding on would keep the newer page waiting.
        db.close();
        onClosed(true);
      },
      terminated: () => onClosed(false),
    });
    return new Database(db);
  }

  allInfos(): Promise<ConversationInfo[]> {
    return this.#db.getAll('conversations');
  }

  async infosOf(ids: readonly string[]): Promise<ConversationInfo[]> {
    const infos = await Promise.all(ids.map((id) => this.#db.get('conversations', id)));
    return infos.filter((info) => info !== undefined);
  }

  allMessages(): Promise<StoredMessage[]> {
    return this.#db.getAll('messages');
  }

  messagesOf(id: string): Promise<StoredMessage[]> {
    return this.#db.getAll('messages', messagesOf(id));
  }

  /** Writes all or nothing. */
  async write(changes: Changes): Promise<void> {
    // Survives a crash of the page at once, and one of the computer as soon as the system has written its caches.
    const transaction = this.#db.transaction(['conversations', 'messages'], 'readwrite', {
      durability: 'relaxed',
    });
    const conversations = transaction.objectStore('conversations');
    const messages = transaction.objectStore('messages');
    const writes: Promise<unknown>[] = [];
    for (const info of changes.infos) writes.push(conversations.put(info));
    for (const message of changes.messages) writes.push(messages.put(message));
    for (const { conversationId, id } of changes.deletedMessages) {
      writes.push(messages.delete([conversationId, id]));
    }
    for (const id of changes.deletedConversations) {
      writes.push(conversations.delete(id), messages.delete(messagesOf(id)));
    }
    await Promise.all([...writes, transaction.done]);
  }

  close(): void {
    this.#db.close();
  }
}

/** Keys of a conversation's messages: an array is greater than every string (IndexedDB 3.0, §2.4 Keys). */
function messagesOf(conversationId: string): IDBKeyRange {
  return IDBKeyRange.bound([conversationId], [conversationId, []]);
}
