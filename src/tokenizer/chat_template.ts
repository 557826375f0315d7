import { Template } from '@huggingface/jinja';
import { RequestError, TokenizerError } from '../util/errors.ts';
import { describeValue, isRecord } from '../util/objects.ts';
import { attempt } from './attempt.ts';

/** A text part of a message in the OpenAI spelling. */
export interface TextPart {
  readonly type: 'text';
  readonly text: string;
}

/** A message of a conversation, in the OpenAI spelling. Templates see every field, known here or not. */
export interface ChatMessage {
  /** `system`, `user`, `assistant`, `tool`, or whatever else the template knows. */
  readonly role: string;
  /** Null only where the assistant said nothing, e.g. beside `tool_calls`. */
  readonly content?: string | readonly TextPart[] | null;
  readonly name?: string;
  readonly tool_calls?: readonly unknown[];
  readonly tool_call_id?: string;
}

/** What a chat template is given besides the messages. */
export interface RenderChatOptions {
  /** Ends the prompt with the opening of the assistant's turn. Default true. */
  readonly addGenerationPrompt?: boolean;
  /** JSON schemas of functions, as the template wants them. */
  readonly tools?: readonly unknown[];
  /** Further variables of the template, e.g. `enable_thinking`. */
  readonly context?: Readonly<Record<string, unknown>>;
}

/**
 * The chat templates of a model: Jinja programs that turn messages into a prompt.
 *
 * A repository has one, or several by name, of which `default` and `tool_use` are used. A template is compiled when
 * it is first needed.
 */
export class ChatTemplate {
  readonly #sources: ReadonlyMap<string, string>;
  readonly #specialTokens: Readonly<Record<string, unknown>>;
  readonly #compiled = new Map<string, CompiledTemplate>();

  /** @param specialTokens - variables such as `bos_token` */
  constructor(
    sources: ReadonlyMap<string, string>,
    specialTokens: Readonly<Record<string, unknown>>,
  ) {
    this.#sources = sources;
    this.#specialTokens = specialTokens;
  }

  /**
   * Renders a conversation as a prompt, special tokens included: encode it with `addSpecialTokens: false`.
   *
   * @throws {RequestError} if the messages are malformed
   * @throws {TokenizerError} if the template is broken or refuses the messages
   */
  render(messages: unknown, options: RenderChatOptions = {}): string {
    const parsed = parseMessages(messages);
    const { template, wantsParts } = this.#compile(options.tools ? 'tool_use' : 'default');
    return attempt('chat template', () =>
      template.render({
        ...this.#specialTokens,
        ...options.context,
        messages: parsed.map((message) => withContent(message, wantsParts)),
        tools: options.tools ?? null,
        documents: options.context?.['documents'] ?? null,
        add_generation_prompt: options.addGenerationPrompt ?? true,
      }),
    );
  }

  #compile(wanted: 'default' | 'tool_use'): CompiledTemplate {
    const name = this.#sources.has(wanted) ? wanted : 'default';
    const known = this.#compiled.get(name);
    if (known) return known;
    const source = this.#sources.get(name);
    if (source === undefined) {
      const names = [...this.#sources.keys()].join(', ');
      throw new TokenizerError(
        `chat template: found templates named ${names}, expected one named default; pass a template`,
      );
    }
    const template = attempt('chat template', () => new Template(source));
    const compiled = { template, wantsParts: wantsParts(template, this.#specialTokens) };
    this.#compiled.set(name, compiled);
    return compiled;
  }
}

interface CompiledTemplate {
  readonly template: Template;
  /** Whether the template loops over the parts of a message's content instead of printing it. */
  readonly wantsParts: boolean;
}

/**
 * Reads `chat_template` of tokenizer_config.json: a template, or a list of named ones.
 *
 * @returns templates by name; undefined if there are none
 * @throws {TokenizerError} if it is something else
 */
export function parseChatTemplates(value: unknown): ReadonlyMap<string, string> | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return new Map([['default', value]]);
  const sources = new Map<string, string>();
  for (const entry of Array.isArray(value) ? value : [value]) {
    if (
      !isRecord(entry) ||
      typeof entry['name'] !== 'string' ||
      typeof entry['template'] !== 'string'
    ) {
      throw new TokenizerError(
        `tokenizer_config.json: "chat_template" holds ${describeValue(entry)}, expected a string or a list of {name, template}`,
      );
    }
    sources.set(entry['name'], entry['template']);
  }
  return sources.size > 0 ? sources : undefined;
}

/**
 * Checks a list of messages that came from outside.
 *
 * @throws {RequestError} with param `messages`
 */
export function parseMessages(value: unknown): readonly ChatMessage[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw invalid('messages', value, 'a list of at least one message');
  }
  return value.map((message: unknown, index) => parseMessage(message, `messages[${index}]`));
}

function parseMessage(message: unknown, where: string): ChatMessage {
  if (!isRecord(message)) throw invalid(where, message, 'an object with role and content');
  const { role, content } = message;
  if (typeof role !== 'string' || role === '') {
    throw invalid(`${where}.role`, role, 'a string such as "user"');
  }
  if (Array.isArray(content)) {
    const parts = content.map((part: unknown, i) => parsePart(part, `${where}.content[${i}]`));
    return { ...message, role, content: parts };
  }
  if (typeof content === 'string') return { ...message, role, content };
  if (role === 'assistant' && content === null) return { ...message, role, content };
  if (role === 'assistant' && content === undefined) return { ...message, role };
  throw invalid(`${where}.content`, content, 'a string or a list of text parts');
}

function parsePart(part: unknown, where: string): TextPart {
  if (isRecord(part) && part['type'] === 'text' && typeof part['text'] === 'string') {
    return { type: 'text', text: part['text'] };
  }
  const found = isRecord(part) && part['type'] !== 'text' ? part['type'] : part;
  throw invalid(where, found, 'a part {"type": "text", "text": …}; other kinds are not supported');
}

function invalid(where: string, found: unknown, expected: string): RequestError {
  return new RequestError(`${where}: found ${describeValue(found)}, expected ${expected}`, {
    param: 'messages',
  });
}

/** The message with its content in the one form that the template understands. */
function withContent(message: ChatMessage, wantsParts: boolean): ChatMessage {
  const { content } = message;
  if (content === null || content === undefined) return message;
  if (typeof content === 'string') {
    return wantsParts ? { ...message, content: [{ type: 'text', text: content }] } : message;
  }
  return wantsParts ? message : { ...message, content: content.map((part) => part.text).join('') };
}

/** Finds out by trial: such a template loses, or refuses, content that is a string. */
function wantsParts(template: Template, specialTokens: Readonly<Record<string, unknown>>): boolean {
  const probe = '\u{E000}';
  const shows = (content: ChatMessage['content']): boolean => {
    try {
      const messages = [{ role: 'user', content }];
      const text = template.render({ ...specialTokens, messages, add_generation_prompt: true });
      return text.includes(probe);
    } catch {
      return false;
    }
  };
  return !shows(probe) && shows([{ type: 'text', text: probe }]);
}
