import type { Changes, StoredMessage } from './database.ts';
import type { ConversationInfo } from './types.ts';

/**
 * What is not on the disk yet, or cannot be: the latest state of everything that changed. While nothing can be
 * written it is all there is, so reading looks here too.
 */
export class Unsaved implements Changes {
  readonly #infos = new Map<string, ConversationInfo>();
  readonly #messages = new Map<string, StoredMessage>();
  readonly #deletedMessages = new Map<string, Pick<StoredMessage, 'conversationId' | 'id'>>();
  readonly #deletedConversations = new Set<string>();

  get infos(): Iterable<ConversationInfo> {
    return this.#infos.values();
  }
  get messages(): Iterable<StoredMessage> {
    return this.#messages.values();
  }
  get deletedMessages(): Iterable<Pick<StoredMessage, 'conversationId' | 'id'>> {
    return this.#deletedMessages.values();
  }
  get deletedConversations(): Iterable<string> {
    return this.#deletedConversations;
  }

  get isEmpty(): boolean {
    return [this.#infos, this.#messages, this.#deletedMessages, this.#deletedConversations].every(
      ({ size }) => size === 0,
    );
  }

  putInfo(info: ConversationInfo): void {
    this.#infos.set(info.id, info);
    this.#deletedConversations.delete(info.id);
  }

  putMessage(message: StoredMessage): void {
    this.#messages.set(keyOf(message), message);
    this.#deletedMessages.delete(keyOf(message));
  }

  deleteMessage(message: Pick<StoredMessage, 'conversationId' | 'id'>): void {
    this.#messages.delete(keyOf(message));
    this.#deletedMessages.set(keyOf(message), message);
  }

  deleteConversation(id: string): void {
    this.forget(id);
    this.#deletedConversations.add(id);
  }

  /** Drops what was to be written of a conversation. */
  forget(id: string): void {
    this.#infos.delete(id);
    for (const [key, { conversationId }] of this.#messages) {
      if (conversationId === id) this.#messages.delete(key);
    }
    for (const [key, { conversationId }] of this.#deletedMessages) {
      if (conversationId === id) this.#deletedMessages.delete(key);
    }
  }

  /** Takes in what came later. */
  add(later: Changes): void {
    for (const id of later.deletedConversations) this.deleteConversation(id);
    for (const info of later.infos) this.putInfo(info);
    for (const message of later.deletedMessages) this.deleteMessage(message);
    for (const message of later.messages) this.putMessage(message);
  }

  /** Messages as they are on the disk, with these changes to them. */
  applyTo(stored: readonly StoredMessage[]): readonly StoredMessage[] {
    const gone = this.#deletedConversations;
    const messages = new Map(
      stored
        .filter(({ conversationId }) => !gone.has(conversationId))
        .map((message) => [keyOf(message), message]),
    );
    for (const key of this.#deletedMessages.keys()) messages.delete(key);
    for (const [key, message] of this.#messages) messages.set(key, message);
    return [...messages.values()];
  }
}

/** Ids have no line breaks: those of the page are UUIDs, and imported ones are checked. */
function keyOf({ conversationId, id }: Pick<StoredMessage, 'conversationId' | 'id'>): string {
  return `${conversationId}\n${id}`;
}
