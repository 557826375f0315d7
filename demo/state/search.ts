/** Search in conversations, whatever the case and the accents. @module */
import type { StoredMessage } from './database.ts';
import type { ConversationInfo, SearchHit } from './types.ts';

/** Characters of a snippet before and after what was found. */
const BEFORE = 32;
const AFTER = 80;

/**
 * The conversations in which every word of a query occurs, in the title or in a message of any branch.
 *
 * @param infos - in the order of the result
 * @returns all of them, without snippets, for a query without words
 */
export function searchConversations(
  query: string,
  infos: readonly ConversationInfo[],
  messages: readonly StoredMessage[],
): readonly SearchHit[] {
  const words = fold(query).split(/\s+/).filter(Boolean);
  const texts = new Map<string, string[]>(infos.map(({ id }) => [id, []]));
  for (const { conversationId, content } of messages) texts.get(conversationId)?.push(content);
  return infos.flatMap((info): SearchHit[] => {
    const title = fold(info.title);
    const contents = texts.get(info.id) ?? [];
    const folded = contents.map(fold);
    if (!words.every((word) => [title, ...folded].some((text) => text.includes(word)))) return [];
    const word = words.find((word) => !title.includes(word));
    if (word === undefined) return [{ info }];
    const content = contents[folded.findIndex((text) => text.includes(word))] ?? '';
    return [{ info, snippet: snippetOf(content, word) }];
  });
}

/** Without case and accents: capitals, because small letters depend on their neighbors (Greek sigma). */
function fold(text: string): string {
  return text.normalize('NFKD').replaceAll(/\p{M}/gu, '').toUpperCase();
}

/** @param word - folded, and found in the folded text */
function snippetOf(text: string, word: string): readonly [string, string, string] {
  // Folding character by character tells which part of the text became what was found.
  const graphemes = Array.from(text.normalize('NFC'));
  const ends: number[] = [];
  let folded = '';
  for (const grapheme of graphemes) ends.push((folded += fold(grapheme)).length);
  const at = folded.indexOf(word);
  const begin = ends.findIndex((end) => end > at);
  const end = ends.findIndex((end) => end >= at + word.length) + 1;
  const plain = (from: number, to: number): string =>
    graphemes.slice(Math.max(0, from), to).join('').replaceAll(/\s+/g, ' ');
  const before = plain(begin - BEFORE, begin);
  const after = plain(end, end + AFTER);
  return [
    begin > BEFORE ? `…${before}` : before,
    plain(begin, end),
    end + AFTER < graphemes.length ? `${after}…` : after,
  ];
}
