/**
 * A conversation as a tree. Editing a message and asking for another reply add a branch; nothing is overwritten.
 *
 *   hello ── Hi! ── tell me a story ── Once …      headId is the last message of the branch that is shown
 *                └─ tell me a joke ─── A man …
 *
 * @module
 */
import type { Message, MessageTree, Reply } from './types.ts';

/** Where a message stands among the branches that begin with it. */
export interface Branches {
  /** All, the oldest first. */
  readonly ids: readonly string[];
  /** Position of the message in `ids`. */
  readonly index: number;
}

/** The branch that is shown, first message first. */
export function pathOf(tree: MessageTree): readonly Message[] {
  return pathTo(tree, tree.headId);
}

/** The messages from the first down to one of them; empty for null and unknown ids. */
export function pathTo({ messages }: MessageTree, id: string | null): readonly Message[] {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const path: Message[] = [];
  for (let at = id; at !== null;) {
    const message = byId.get(at);
    if (message === undefined) break;
    path.push(message);
    // Each message once: a ring, which no operation here makes, would have no end.
    byId.delete(at);
    at = message.parentId;
  }
  return path.toReversed();
}

/** A message by its id. */
export function findMessage({ messages }: MessageTree, id: string): Message | undefined {
  return messages.find((message) => message.id === id);
}

/** The branches that begin where a message does. */
export function branchesOf(tree: MessageTree, id: string): Branches {
  const message = findMessage(tree, id);
  if (message === undefined) return { ids: [], index: -1 };
  const ids = childrenOf(tree, message.parentId).map((child) => child.id);
  return { ids, index: ids.indexOf(id) };
}

/** Adds a message, and shows the branch that ends with it. */
export function addMessage<T extends MessageTree>(tree: T, message: Message): T {
  return { ...tree, messages: [...tree.messages, message], headId: message.id };
}

/** Changes what becomes known of a reply while it is written. */
export function updateReply<T extends MessageTree>(
  tree: T,
  id: string,
  changes: Partial<Pick<Reply, 'content' | 'ending' | 'usage' | 'isShortened'>>,
): T {
  const messages = tree.messages.map((message) =>
    message.id === id && message.role === 'assistant' ? { ...message, ...changes } : message,
  );
  return { ...tree, messages };
}

/** Shows the branch of a message, down to the newest message after it; the same tree if it is shown already. */
export function selectBranch<T extends MessageTree>(tree: T, id: string): T {
  if (findMessage(tree, id) === undefined) return tree;
  if (pathOf(tree).some((message) => message.id === id)) return tree;
  return { ...tree, headId: newestLeaf(tree, descendantsOf(tree, id)) };
}

/** Removes a message and all that follow it; shows a branch beside it, or else ends with the message before it. */
export function removeBranch<T extends MessageTree>(tree: T, id: string): T {
  const message = findMessage(tree, id);
  if (message === undefined) return tree;
  const { ids, index } = branchesOf(tree, id);
  const removed = descendantsOf(tree, id);
  const messages = tree.messages.filter((other) => !removed.has(other.id));
  if (tree.headId === null || !removed.has(tree.headId)) return { ...tree, messages };
  const neighbor = ids[index - 1] ?? ids[index + 1];
  const rest = { ...tree, messages };
  if (neighbor === undefined) return { ...rest, headId: message.parentId };
  return { ...rest, headId: newestLeaf(rest, descendantsOf(rest, neighbor)) };
}

/**
 * Drops messages that follow none that is there, and shows the newest branch where the shown one is gone.
 *
 * @returns the same tree if nothing is wrong with it
 */
export function repairTree<T extends MessageTree>(tree: T): T {
  const groups = byParent(tree.messages);
  // Grows from the roots: what is in a ring, hangs on nothing, or has another's id is never reached.
  const reached = new Map<string, Message>();
  const visit = (message: Message): void => {
    if (!reached.has(message.id)) reached.set(message.id, message);
  };
  groups.get(null)?.forEach(visit);
  // A map that grows while it is walked is walked to its end.
  for (const id of reached.keys()) groups.get(id)?.forEach(visit);
  const isWhole = reached.size === tree.messages.length;
  const hasHead = tree.headId === null ? reached.size === 0 : reached.has(tree.headId);
  if (isWhole && hasHead) return tree;
  const rest = { ...tree, messages: isWhole ? tree.messages : [...reached.values()] };
  return hasHead ? rest : { ...rest, headId: newestLeaf(rest, new Set(reached.keys())) };
}

function childrenOf({ messages }: MessageTree, parentId: string | null): readonly Message[] {
  return messages.filter((message) => message.parentId === parentId).sort(byAge);
}

function descendantsOf({ messages }: MessageTree, id: string): ReadonlySet<string> {
  const children = byParent(messages);
  const found = new Set([id]);
  // A set that grows while it is walked is walked to its end.
  for (const one of found) for (const child of children.get(one) ?? []) found.add(child.id);
  return found;
}

/** The newest of some messages that has none after it. */
function newestLeaf(tree: MessageTree, among: ReadonlySet<string>): string | null {
  const parents = new Set(tree.messages.map(({ parentId }) => parentId));
  const leaves = tree.messages.filter(({ id }) => among.has(id) && !parents.has(id));
  return leaves.sort(byAge).at(-1)?.id ?? null;
}

function byParent(messages: readonly Message[]): ReadonlyMap<string | null, readonly Message[]> {
  const groups = new Map<string | null, Message[]>();
  for (const message of messages) {
    const group = groups.get(message.parentId);
    if (group === undefined) groups.set(message.parentId, [message]);
    else group.push(message);
  }
  return groups;
}

/** Messages of the same millisecond keep one order in all tabs. */
function byAge(a: Message, b: Message): number {
  return a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1);
}
