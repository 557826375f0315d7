/** Conversations as files: Markdown to read, JSON to read in again. @module */
import type { Usage } from 'quern';
import { describeReply } from '../wording.ts';
import { pathOf, repairTree } from './message_tree.ts';
import type { Conversation, Ending, Message, Reply, Settings } from './types.ts';

/** What a file says it is; raised when its form changes. */
const FORMAT = 'quern-chat';
const VERSION = 1;

/** A file that cannot be taken in; the message says what is wrong with it. */
export class ImportError extends Error {
  override readonly name = 'ImportError';
}

/** The branch that is shown, as a document. */
export function toMarkdown(conversation: Conversation): string {
  const { title, systemPrompt, createdAt } = conversation;
  const quote = (text: string): string => text.replaceAll(/^/gm, '> ').replaceAll(/ +$/gm, '');
  const note = (reply: Reply): string => describeReply(reply).replace(/^(.+)$/, '_$1_');
  const parts = [
    `# ${title}`,
    `_${new Date(createdAt).toISOString().slice(0, 10)}_`,
    ...(systemPrompt.trim() === '' ? [] : ['## Instructions', quote(systemPrompt)]),
    ...pathOf(conversation).flatMap((message) =>
      message.role === 'user'
        ? ['## You', message.content]
        : [`## ${message.model}`, message.content, note(message)],
    ),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

/** Conversations with all their branches. */
export function toJson(conversations: readonly Conversation[]): string {
  return `${JSON.stringify({ format: FORMAT, version: VERSION, conversations }, undefined, 2)}\n`;
}

/**
 * Reads what {@link toJson} wrote.
 *
 * @throws {ImportError} if the text is something else, or damaged
 */
export function fromJson(text: string): readonly Conversation[] {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (cause) {
    throw new ImportError('The file is not JSON; choose one that was exported here.', { cause });
  }
  if (!isRecord(file) || file['format'] !== FORMAT) {
    throw new ImportError(
      'The file holds no conversations of Quern; choose one that was exported here.',
    );
  }
  const { version, conversations } = file;
  if (version !== VERSION) {
    throw new ImportError(
      `The file has version ${String(version)}, expected ${VERSION}; reload this page to have its newest version.`,
    );
  }
  if (!Array.isArray(conversations)) {
    throw new ImportError('"conversations" is not a list; the file is damaged.');
  }
  return conversations.map((value, i) => readConversation(`conversations[${i}]`, value));
}

function readConversation(where: string, value: unknown): Conversation {
  const read = new Reader(where, value);
  const messages = read
    .list('messages')
    .map((one, i) => readMessage(`${where}.messages[${i}]`, one));
  const headId = read.idOrNull('headId');
  const conversation: Conversation = {
    id: read.id('id'),
    title: read.text('title'),
    hasOwnTitle: read.optional('hasOwnTitle', 'boolean') ?? false,
    createdAt: read.time('createdAt'),
    updatedAt: read.time('updatedAt'),
    systemPrompt: read.optional('systemPrompt', 'string') ?? '',
    settings: readSettings(`${where}.settings`, read.value('settings') ?? {}),
    messages,
    headId,
  };
  if (repairTree(conversation) !== conversation) {
    throw new ImportError(`${where}: its messages do not hang together; the file is damaged.`);
  }
  return conversation;
}

function readMessage(where: string, value: unknown): Message {
  const read = new Reader(where, value);
  const role = read.text('role');
  const common = {
    id: read.id('id'),
    parentId: read.idOrNull('parentId'),
    content: read.text('content'),
    createdAt: read.time('createdAt'),
  };
  if (role === 'user') return { ...common, role };
  if (role !== 'assistant') throw read.error('role', '"user" or "assistant"');
  const ending = read.value('ending');
  if (ending !== undefined && !isEnding(ending)) throw read.error('ending', 'how a reply ends');
  const isShortened = read.optional('isShortened', 'boolean');
  const usage = read.value('usage');
  return {
    ...common,
    role,
    model: read.text('model'),
    ...(ending !== undefined && { ending }),
    ...(usage !== undefined && { usage: readUsage(`${where}.usage`, usage) }),
    ...(isShortened !== undefined && { isShortened }),
  };
}

function readUsage(where: string, value: unknown): Usage {
  const read = new Reader(where, value);
  const cached = new Reader(`${where}.prompt_tokens_details`, read.value('prompt_tokens_details'));
  const timings = new Reader(`${where}.timings`, read.value('timings'));
  return {
    prompt_tokens: read.number('prompt_tokens'),
    completion_tokens: read.number('completion_tokens'),
    total_tokens: read.number('total_tokens'),
    prompt_tokens_details: { cached_tokens: cached.number('cached_tokens') },
    timings: {
      time_to_first_token_ms: timings.number('time_to_first_token_ms'),
      prefill_tokens_per_second: timings.number('prefill_tokens_per_second'),
      decode_tokens_per_second: timings.number('decode_tokens_per_second'),
      total_ms: timings.number('total_ms'),
    },
  };
}

const SETTINGS = {
  temperature: true,
  top_p: true,
  top_k: true,
  min_p: true,
  repetition_penalty: true,
  max_tokens: true,
  seed: true,
} as const satisfies Record<keyof Settings, true>;

function readSettings(where: string, value: unknown): Settings {
  const read = new Reader(where, value);
  const entries = Object.keys(SETTINGS).map((key) => [key, read.optional(key, 'number')] as const);
  return Object.fromEntries(entries.filter(([, number]) => number !== undefined));
}

function isEnding(value: unknown): value is Ending {
  return ['complete', 'cut', 'stopped', 'failed'].some((ending) => ending === value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

interface Primitives {
  readonly string: string;
  readonly number: number;
  readonly boolean: boolean;
}

/** Reads the fields of an object of a file, and says where what is wrong. */
class Reader {
  readonly #where: string;
  readonly #record: Readonly<Record<string, unknown>>;

  constructor(where: string, value: unknown) {
    if (!isRecord(value)) throw new ImportError(`${where} is not an object; the file is damaged.`);
    this.#where = where;
    this.#record = value;
  }

  value(key: string): unknown {
    return this.#record[key];
  }

  text(key: string): string {
    return this.#required(key, 'string');
  }

  number(key: string): number {
    return this.#required(key, 'number');
  }

  /** Milliseconds since 1970. */
  time(key: string): number {
    const time = this.number(key);
    if (Number.isNaN(new Date(time).getTime())) throw this.error(key, 'a time');
    return time;
  }

  id(key: string): string {
    const id = this.text(key);
    if (!/^[\w-]{1,64}$/.test(id)) throw this.error(key, 'an id');
    return id;
  }

  idOrNull(key: string): string | null {
    return this.value(key) === null ? null : this.id(key);
  }

  list(key: string): readonly unknown[] {
    const list = this.value(key);
    if (!Array.isArray(list)) throw this.error(key, 'a list');
    return list;
  }

  optional<T extends keyof Primitives>(key: string, type: T): Primitives[T] | undefined {
    const value = this.value(key);
    if (value === undefined || isOf(value, type)) return value;
    throw this.error(key, `a ${type}`);
  }

  error(key: string, expected: string): ImportError {
    return new ImportError(
      `${this.#where}.${key} is ${JSON.stringify(this.value(key)) ?? 'missing'}, expected ${expected}; the file is damaged.`,
    );
  }

  #required<T extends keyof Primitives>(key: string, type: T): Primitives[T] {
    const value = this.optional(key, type);
    if (value === undefined) throw this.error(key, `a ${type}`);
    return value;
  }
}

function isOf<T extends keyof Primitives>(value: unknown, type: T): value is Primitives[T] {
  return typeof value === type;
}
