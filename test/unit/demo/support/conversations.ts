import { addMessage } from '../../../../demo/state/message_tree.ts';
import type { Conversation, Message, Reply } from '../../../../demo/state/types.ts';

/** A conversation in which user and model took turns to say some texts. */
export function conversation(id: string, said: readonly string[], at = 0): Conversation {
  const empty: Conversation = {
    id,
    title: id,
    hasOwnTitle: false,
    createdAt: at,
    updatedAt: at,
    systemPrompt: '',
    settings: {},
    messages: [],
    headId: null,
  };
  return said.reduce((grown, content, i) => addMessage(grown, turn(grown, content, i)), empty);
}

function turn({ id, headId }: Conversation, content: string, i: number): Message {
  const common = { id: `${id}-${i}`, parentId: headId, content, createdAt: i };
  if (i % 2 === 0) return { ...common, role: 'user' };
  return { ...common, role: 'assistant', model: 'm', ending: 'complete' } satisfies Reply;
}

/** Ids of all messages of a conversation. */
export function idsOf({ messages }: Conversation): readonly string[] {
  return messages.map(({ id }) => id);
}
