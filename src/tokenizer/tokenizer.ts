import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { RequestError, TokenizerError } from '../util/errors.ts';
import { describeValue, isRecord } from '../util/objects.ts';
import { attempt } from './attempt.ts';
import { ChatTemplate, parseChatTemplates, type RenderChatOptions } from './chat_template.ts';
import {
  type DecodePlan,
  type DetokenizerStream,
  PlannedStream,
  planDecoder,
  WholeStream,
} from './detokenizer.ts';
import {
  assemble,
  type PostProcessor,
  readPostProcessor,
  type TypedIds,
} from './post_processor.ts';
import {
  additionalSpecialTokens,
  postProcessorFromFlags,
  readSpecialTokens,
  type SpecialTokens,
  tokenText,
} from './special_tokens.ts';
import { readTokenizerFile } from './tokenizer_file.ts';

/** The files of a repository that describe its tokenizer: parsed from JSON, not trusted. */
export interface TokenizerFiles {
  readonly tokenizerJson: unknown;
  readonly tokenizerConfig?: unknown;
  readonly specialTokensMap?: unknown;
  /** Text of chat_template.jinja, or a template of the caller's; replaces those in tokenizer_config.json. */
  readonly chatTemplate?: string | undefined;
}

/** How text becomes ids. */
export interface EncodeOptions {
  /**
   * Adds what the model expects round a plain text, such as BOS. Default true; false for rendered chats, which have
   * it already.
   */
  readonly addSpecialTokens?: boolean;
}

/** How ids become text. */
export interface DecodeOptions {
  /** Leaves out special tokens. Default true. */
  readonly skipSpecialTokens?: boolean;
}

/**
 * Builds the tokenizer that a Hugging Face repository describes.
 *
 * @throws {TokenizerError} if tokenizer.json is missing, malformed or of an unknown kind
 */
export function createTokenizer(files: TokenizerFiles): Tokenizer {
  const { json, addedTokens } = readTokenizerFile(files.tokenizerJson);
  const config = readConfig('tokenizer_config.json', files.tokenizerConfig);
  const specialTokensMap = readConfig('special_tokens_map.json', files.specialTokensMap);
  const templates =
    files.chatTemplate === undefined
      ? parseChatTemplates(config['chat_template'])
      : new Map([['default', files.chatTemplate]]);

  const additional = additionalSpecialTokens(config, specialTokensMap);
  const cleanUp = config['clean_up_tokenization_spaces'] === true;
  const { library, plan } = attempt('tokenizer.json', () => {
    // What goes round texts is put there by us.
    const library = new LibraryTokenizer(
      { ...json, post_processor: null },
      {
        ...config,
        // The library wants strings where files may have objects, and cleans up unless told not to.
        eos_token: tokenText(config['eos_token']),
        additional_special_tokens: additional,
        clean_up_tokenization_spaces: cleanUp,
      },
    );
    const literals = new Set(addedTokens.map((token) => token.content));
    const plan = library.decoder?.end_of_word_suffix
      ? undefined
      : planDecoder(json['decoder'], literals, cleanUp);
    return { library, plan };
  });

  const tokenToId = (token: string): number | undefined => library.token_to_id(token);
  const specialTokens = readSpecialTokens(config, specialTokensMap, tokenToId);
  const postProcessor =
    postProcessorFromFlags(config, specialTokens) ??
    readPostProcessor(json['post_processor'], tokenToId);
  const skipped = new Set<number | undefined>(additional.map(tokenToId));
  for (const token of addedTokens) if (token.isSpecial) skipped.add(token.id);

  const variables = {
    ...Object.fromEntries(Object.entries(specialTokens).map(([k, v]) => [`${k}_token`, v.text])),
    additional_special_tokens: additional,
  };
  const chatTemplate = templates && new ChatTemplate(templates, variables);
  const cutsLeft = config['truncation_side'] === 'left';
  return new Tokenizer({
    library,
    plan,
    postProcessor,
    cutsLeft,
    specialTokens,
    skipped,
    chatTemplate,
  });
}

interface Parts {
  readonly library: LibraryTokenizer;
  /** Undefined for decoders that need the whole text. */
  readonly plan: DecodePlan | undefined;
  readonly postProcessor: PostProcessor;
  /** Whether texts that are too long lose their beginning, not their end. */
  readonly cutsLeft: boolean;
  readonly specialTokens: SpecialTokens;
  /** Ids that `skipSpecialTokens` leaves out. */
  readonly skipped: ReadonlySet<number | undefined>;
  readonly chatTemplate: ChatTemplate | undefined;
}

/** Text to ids and back, and conversations to prompts. Made by `createTokenizer`. */
export class Tokenizer {
  /** One more than the largest id. The model's own vocabulary may be larger, padded to a round number. */
  readonly vocabSize: number;
  readonly specialTokens: SpecialTokens;
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.vocabSize = parts.library.model?.vocab.length ?? 0;
    this.specialTokens = parts.specialTokens;
  }

  /**
   * Encodes text. Special tokens spelled out in it become their ids.
   *
   * @throws {RequestError} if `text` is not a string
   * @throws {TokenizerError} if the tokenizer fails on it
   */
  encode(text: string, options?: EncodeOptions): number[] {
    const addSpecialTokens = options?.addSpecialTokens ?? true;
    const ids = this.#encodePlain(text);
    return addSpecialTokens ? assemble(this.#parts.postProcessor, ids, undefined).ids : ids;
  }

  /**
   * Encodes a text, or a pair of texts, with special tokens, as an encoder takes it.
   *
   * @param maxTokens - cuts the texts so that there are no more tokens, special ones kept and the longer text first
   * @throws {RequestError} if a text is not a string, or `maxTokens` leaves no room for special tokens
   * @throws {TokenizerError} if the tokenizer fails on it
   */
  encodePair(text: string, pair?: string, maxTokens?: number): TypedIds {
    const { postProcessor, cutsLeft } = this.#parts;
    const a = this.#encodePlain(text);
    const b = pair === undefined ? undefined : this.#encodePlain(pair);
    return assemble(postProcessor, a, b, maxTokens, cutsLeft);
  }

  /**
   * Decodes ids. Those without a token stand for no text: a model with a padded vocabulary can emit them.
   *
   * @throws {RequestError} if an id is not a non-negative integer
   */
  decode(ids: readonly number[], options?: DecodeOptions): string {
    if (!Array.isArray(ids)) {
      throw new RequestError(`decode: ids is ${describeValue(ids)}, expected a list of token ids`);
    }
    const bad = ids.findIndex((id) => !Number.isSafeInteger(id) || id < 0);
    if (bad >= 0) {
      throw new RequestError(
        `decode: ids[${bad}] is ${describeValue(ids[bad])}, expected an integer ≥ 0`,
      );
    }
    const stream = this.createStream(options);
    const pieces = ids.map((id) => stream.push(id));
    return pieces.join('') + stream.flush();
  }

  /**
   * Starts decoding one text token by token: all it returns, put together, is what `decode` returns.
   *
   * @param after - ids of the text that this one continues, which is not returned again. Many tokenizers drop the
   *   space in front of a text, so the same ids are another text at its beginning than in its middle
   */
  createStream(options?: DecodeOptions, after: readonly number[] = []): DetokenizerStream {
    const { library, plan, skipped } = this.#parts;
    const skipSpecialTokens = options?.skipSpecialTokens ?? true;
    const tokenOf = (id: number): string | undefined =>
      skipSpecialTokens && skipped.has(id) ? undefined : this.idToToken(id);
    if (plan) {
      const stream = new PlannedStream(plan, tokenOf);
      const shown = after.map((id) => stream.push(id)).join('');
      const held = after.length === 0 ? 0 : this.decode(after, { skipSpecialTokens }).length;
      return skipping(stream, held - shown.length);
    }
    const decode = (ids: readonly number[]): string => {
      const shown = ids.filter((id) => tokenOf(id) !== undefined);
      if (shown.length === 0) return '';
      const how = { skip_special_tokens: skipSpecialTokens };
      return attempt('decode', () => library.decode(shown, how));
    };
    const before = decode(after).length;
    return new WholeStream((ids) => decode([...after, ...ids]).slice(before));
  }

  /** Id of a token by its spelling in the vocabulary. */
  tokenToId(token: string): number | undefined {
    return this.#parts.library.token_to_id(token);
  }

  /** Id of the token that stands for one to be guessed; old files do not say which of their tokens that is. */
  get maskId(): number | undefined {
    const { mask } = this.specialTokens;
    return mask?.id ?? this.tokenToId('[MASK]') ?? this.tokenToId('<mask>');
  }

  /** Spelling of a token in the vocabulary, e.g. `Ġthe`; `tokenText` is what it stands for. */
  idToToken(id: number): string | undefined {
    return this.#parts.library.id_to_token(id);
  }

  /** Text of one token as in the middle of a text; bytes that are no whole character become U+FFFD. */
  tokenText(id: number): string {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.tokenBytes(id));
  }

  /** UTF-8 bytes of one token as in the middle of a text; none for an id without a token. */
  tokenBytes(id: number): Uint8Array<ArrayBuffer> {
    const token = this.idToToken(id);
    if (token === undefined) return new Uint8Array();
    return this.#parts.plan?.bytes(token, false) ?? new TextEncoder().encode(token);
  }

  /** Whether the model comes with a chat template, i.e. `renderChat` can work. */
  get hasChatTemplate(): boolean {
    return this.#parts.chatTemplate !== undefined;
  }

  /**
   * Renders a conversation as a prompt with the model's own template, special tokens included: encode it with
   * `addSpecialTokens: false`.
   *
   * @throws {RequestError} if the messages are malformed
   * @throws {TokenizerError} if there is no template, or it is broken, or it refuses the messages
   */
  renderChat(messages: unknown, options?: RenderChatOptions): string {
    const { chatTemplate } = this.#parts;
    if (!chatTemplate) {
      throw new TokenizerError(
        'chat template: found none in tokenizer_config.json or chat_template.jinja, expected one; use completions, or pass a chat template',
      );
    }
    return chatTemplate.render(messages, options);
  }

  #encodePlain(text: string): number[] {
    if (typeof text !== 'string') {
      throw new RequestError(`encode: text is ${describeValue(text)}, expected a string`);
    }
    const ids: readonly (number | undefined)[] = attempt(
      'encode',
      () => this.#parts.library.encode(text).ids,
    );
    // Characters outside a vocabulary that has no unknown token vanish, as in the Rust library.
    return ids.filter((id) => id !== undefined);
  }
}

/** The stream without its first `units` UTF-16 units. */
function skipping(stream: DetokenizerStream, units: number): DetokenizerStream {
  let left = Math.max(0, units);
  const cut = (text: string): string => {
    const skipped = Math.min(left, text.length);
    left -= skipped;
    return text.slice(skipped);
  };
  return { push: (id) => cut(stream.push(id)), flush: () => cut(stream.flush()) };
}

function readConfig(file: string, value: unknown): Readonly<Record<string, unknown>> {
  if (value === undefined || value === null) return {};
  if (isRecord(value)) return value;
  throw new TokenizerError(`${file}: found ${describeValue(value)}, expected an object`);
}
