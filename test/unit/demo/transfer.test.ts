import { describe, expect, it } from 'vitest';
import { addMessage } from '../../../demo/state/message_tree.ts';
import { parseLocation } from '../../../demo/state/model_choice.ts';
import { searchConversations } from '../../../demo/state/search.ts';
import { fromJson, ImportError, toJson, toMarkdown } from '../../../demo/state/transfer.ts';
import type { Conversation } from '../../../demo/state/types.ts';
import { conversation } from './support/conversations.ts';

const CHAT: Conversation = addMessage(
  {
    ...conversation('c', ['hello', 'Hi!']),
    systemPrompt: 'Be kind.\nBe short.',
    settings: { temperature: 0.5 },
  },
  {
    id: 'c-r',
    parentId: 'c-0',
    role: 'assistant',
    content: 'Hey.',
    createdAt: 7,
    model: 'm',
    ending: 'complete',
    isShortened: true,
    usage: {
      prompt_tokens: 1,
      completion_tokens: 2,
      total_tokens: 3,
      prompt_tokens_details: { cached_tokens: 0 },
      timings: {
        time_to_first_token_ms: 4,
        prefill_tokens_per_second: 5,
        decode_tokens_per_second: 6,
        total_ms: 7,
      },
    },
  },
);

describe('a file', () => {
  it('comes back as it went, with all branches', () => {
    expect(fromJson(toJson([CHAT, conversation('d', [])]))).toEqual([CHAT, conversation('d', [])]);
  });

  it('in Markdown has the branch that is shown', () => {
    expect(toMarkdown(CHAT)).toBe(`# c

_1970-01-01_

## Instructions

> Be kind.
> Be short.

## You

hello

## m

Hey.

_2 tokens · 6.0 tokens/s · first token after 4 ms · the oldest messages no longer fit and were left out_
`);
  });

  const file = (changes: object): string => {
    const { conversations } = JSON.parse(toJson([CHAT])) as { conversations: object[] };
    return JSON.stringify({
      format: 'quern-chat',
      version: 1,
      conversations: [{ ...conversations[0], ...changes }],
    });
  };
  const [question, answer] = CHAT.messages;

  it.each([
    ['{', /not JSON/],
    ['null', /no conversations of Quern/],
    ['[]', /no conversations of Quern/],
    ['{"conversations":[]}', /no conversations of Quern/],
    ['{"format":"quern-chat","version":2}', /version 2, expected 1/],
    ['{"format":"quern-chat","version":1}', /not a list/],
    [
      '{"format":"quern-chat","version":1,"conversations":[3]}',
      /conversations\[0\] is not an object/,
    ],
    [file({ id: 'a\nb' }), /conversations\[0\].id is "a\\nb", expected an id/],
    [file({ updatedAt: 1e99 }), /updatedAt is 1e\+99, expected a time/],
    [file({ title: 3 }), /title is 3, expected a string/],
    [file({ settings: { top_p: 'x' } }), /settings.top_p is "x", expected a number/],
    [file({ messages: undefined }), /messages is missing, expected a list/],
    [file({ messages: [{ ...question, role: 'robot' }] }), /role is "robot"/],
    [file({ messages: [question, { ...answer, ending: 'never' }] }), /ending is "never"/],
    [file({ messages: [question, { ...answer, usage: {} }] }), /usage.prompt_tokens_details/],
    [file({ messages: [answer] }), /do not hang together/],
    [file({ headId: 'nowhere' }), /do not hang together/],
  ])('that is none is refused: %s', (text, message) => {
    expect(() => fromJson(text)).toThrow(ImportError);
    expect(() => fromJson(text)).toThrow(message);
  });
});

describe('a snippet', () => {
  const find = (query: string, content: string): unknown => {
    const chat = conversation('c', [content]);
    const stored = chat.messages.map((message) => ({ ...message, conversationId: 'c' }));
    return searchConversations(query, [chat], stored)[0]?.snippet;
  };

  it('shows the text as it was written', () => {
    expect(find('brulee', 'A Crème Brûlée, please')).toEqual(['A Crème ', 'Brûlée', ', please']);
    expect(find('strasse', 'Die Straße\nhier')).toEqual(['Die ', 'Straße', ' hier']);
    expect(find('σας', 'ΓΕΙΑ ΣΑΣ')).toEqual(['ΓΕΙΑ ', 'ΣΑΣ', '']);
    expect(find('b', 'xyz')).toBeUndefined();
  });

  it('is cut from a long text', () => {
    const [before, found, after] = find(
      'needle',
      `${'a '.repeat(99)}needle${' b'.repeat(99)}`,
    ) as string[];
    expect(found).toBe('needle');
    expect(before).toMatch(/^….{32}$/u);
    expect(after).toMatch(/^.{80}…$/u);
  });
});

describe('a location', () => {
  it.each([
    ['owner/name', 'owner/name'],
    [' owner/name@v1.0 ', 'owner/name@v1.0'],
    ['https://huggingface.co/owner/name', 'owner/name'],
    ['huggingface.co/owner/name/tree/main?x#y', 'owner/name@main'],
    ['https://a.example/models/x', 'https://a.example/models/x'],
    ['./models/x/', './models/x/'],
  ])('%s', (text, location) => {
    expect(parseLocation(text)).toEqual({ kind: 'remote', location });
  });

  it.each(['', 'llama', 'a b/c', 'ftp://a.example/', 'https://', 'a/b/c'])('%s is none', (text) => {
    expect(typeof parseLocation(text)).toBe('string');
  });
});
