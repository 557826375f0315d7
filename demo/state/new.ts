/** Conversations, messages and titles before anything is known of them. @module */
import { newId } from './id.ts';
import { pathOf } from './message_tree.ts';
import type { Conversation, Reply, UserMessage } from './types.ts';

/** Longest title made from a message, in characters. */
const MAX_LENGTH = 48;

/** An empty conversation. */
export function newConversation(): Conversation {
  const now = Date.now();
  return {
    id: newId(),
    title: 'New chat',
    hasOwnTitle: false,
    createdAt: now,
    updatedAt: now,
    systemPrompt: '',
    settings: {},
    messages: [],
    headId: null,
  };
}

/** A message of the user. */
export function userMessage(content: string, parentId: string | null): UserMessage {
  return { id: newId(), parentId, role: 'user', content, createdAt: Date.now() };
}

/** A reply that is about to be written. */
export function emptyReply(parentId: string, model: string): Reply {
  const id = newId();
  return { id, parentId, role: 'assistant', content: '', createdAt: Date.now(), model };
}

/** The conversation with a title from the first message of the branch, unless the user gave it one. */
export function withTitle(conversation: Conversation): Conversation {
  const [first] = pathOf(conversation);
  if (conversation.hasOwnTitle || first === undefined) return conversation;
  return { ...conversation, title: titleFrom(first.content) };
}

/** A title from the first message: its first line with something on it, cut between words. */
function titleFrom(text: string): string {
  const line = text.split('\n').find((line) => /[\p{L}\p{N}]/u.test(line)) ?? text;
  const characters = Array.from(line.trim().replaceAll(/\s+/g, ' '));
  if (characters.length === 0) return 'New chat';
  if (characters.length <= MAX_LENGTH) return characters.join('');
  const cut = characters.slice(0, MAX_LENGTH - 1).join('');
  const atWord = cut.slice(0, cut.lastIndexOf(' '));
  return `${atWord.length > MAX_LENGTH / 2 ? atWord : cut}…`;
}
