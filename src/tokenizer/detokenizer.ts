/**
 * Ids to text, one token at a time.
 *
 * A tokenizer's decoder is taken apart into three steps, each of which can run on a stream:
 *
 *     token ──▶ bytes ──▶ UTF-8 decoding ──▶ passes over the text ──▶ text
 *
 * The bytes of a token depend on nothing but whether it is the first. A UTF-8 decoder holds back the bytes of an
 * unfinished character, a pass (strip, replace) the characters it may still change. So text is final when it is
 * returned, every token costs the same, and decoding a list of ids is streaming it in one go.
 *
 * @module
 */
import {
  MetaspaceDecoder,
  ReplaceDecoder,
  StripDecoder,
  WordPieceDecoder,
} from '@huggingface/tokenizers';
import { isRecord } from '../util/objects.ts';
import { cleanUpPasses, ReplacePass, StripPass, type TextPass } from './text_pass.ts';

/** Turns the ids of one text into that text as they come. */
export interface DetokenizerStream {
  /** Takes the next id and returns the text that no later id can change; often empty, never half a character. */
  push(id: number): string;
  /** Ends the text and returns what was held back; an unfinished character becomes U+FFFD. */
  flush(): string;
}

/** How a tokenizer turns tokens into text. */
export interface DecodePlan {
  /** Bytes a token stands for, given whether it is the first of the text. */
  readonly bytes: (token: string, isFirst: boolean) => Uint8Array<ArrayBuffer>;
  /** Makes the passes over the text, in order; they hold state, so a stream needs its own. */
  readonly passes: readonly (() => TextPass)[];
}

type TokenMap = (token: string, isFirst: boolean) => string;
type Config = Readonly<Record<string, unknown>>;

/**
 * Translates the `decoder` of a tokenizer.json.
 *
 * @param literals - added tokens; byte-level decoding leaves them as they are
 * @param cleanUp - `clean_up_tokenization_spaces` of tokenizer_config.json
 * @returns undefined for a decoder that needs the whole text before it can say anything
 */
export function planDecoder(
  decoder: unknown,
  literals: ReadonlySet<string>,
  cleanUp: boolean,
): DecodePlan | undefined {
  const maps: TokenMap[] = [];
  const passes: (() => TextPass)[] = [];
  let toBytes = utf8;
  // What the next decoder of a sequence sees: tokens, runs of bytes decoded together, or all the text as one token.
  let sees: 'tokens' | 'runs' | 'text' = 'tokens';
  for (const config of flatten(decoder)) {
    const type = config['type'];
    if (type === 'Fuse') {
      sees = 'text';
    } else if (sees === 'tokens' && (type === 'ByteFallback' || type === 'ByteLevel')) {
      toBytes = type === 'ByteLevel' ? byteLevelBytes(literals) : fallbackBytes;
      sees = 'runs';
    } else if (sees === 'tokens') {
      const map = tokenMap(config);
      if (!map) return undefined;
      maps.push(map);
    } else {
      const pass = sees === 'text' ? textPass(config) : undefined;
      if (!pass) return undefined;
      passes.push(pass);
    }
  }
  // Without a decoder, words are joined by spaces.
  if (!isRecord(decoder)) maps.push((token, isFirst) => (isFirst ? token : ` ${token}`));
  if (cleanUp) passes.push(...cleanUpPasses);
  return {
    bytes: (token, isFirst) => toBytes(maps.reduce((text, map) => map(text, isFirst), token)),
    passes,
  };
}

/** Streams through a plan. `tokenOf` gives undefined for ids that stand for no text. */
export class PlannedStream implements DetokenizerStream {
  readonly #plan: DecodePlan;
  readonly #tokenOf: (id: number) => string | undefined;
  readonly #passes: readonly TextPass[];
  // A byte order mark is text like any other here.
  readonly #utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  #isFirst = true;

  constructor(plan: DecodePlan, tokenOf: (id: number) => string | undefined) {
    this.#plan = plan;
    this.#tokenOf = tokenOf;
    this.#passes = plan.passes.map((create) => create());
  }

  push(id: number): string {
    const token = this.#tokenOf(id);
    if (token === undefined) return '';
    const bytes = this.#plan.bytes(token, this.#isFirst);
    this.#isFirst = false;
    const text = this.#utf8.decode(bytes, { stream: true });
    return this.#passes.reduce((rest, pass) => pass.push(rest), text);
  }

  flush(): string {
    return this.#passes.reduce((rest, pass) => pass.push(rest) + pass.flush(), this.#utf8.decode());
  }
}

/** Keeps all ids until the end, for decoders that have no plan. */
export class WholeStream implements DetokenizerStream {
  readonly #decode: (ids: number[]) => string;
  #ids: number[] = [];

  constructor(decode: (ids: number[]) => string) {
    this.#decode = decode;
  }

  push(id: number): string {
    this.#ids.push(id);
    return '';
  }

  flush(): string {
    const ids = this.#ids;
    this.#ids = [];
    return this.#decode(ids);
  }
}

function flatten(decoder: unknown): Config[] {
  if (!isRecord(decoder)) return [];
  if (decoder['type'] !== 'Sequence') return [decoder];
  const decoders = decoder['decoders'];
  return Array.isArray(decoders) ? decoders.flatMap(flatten) : [];
}

/** Decoders that treat each token by itself, as the library has them. */
function tokenMap(config: Config): TokenMap | undefined {
  const decoder = perTokenDecoder(config);
  if (!decoder) return undefined;
  // A Metaspace that prepended no space has none to take away; the library (0.2.0) does not look.
  const keepsFirst = config['prepend_scheme'] === 'never' || config['add_prefix_space'] === false;
  return (token, isFirst) => {
    const tokens = isFirst && !keepsFirst ? [token] : ['', token];
    return decoder.decode_chain(tokens).at(-1) ?? '';
  };
}

type PerTokenDecoder = MetaspaceDecoder | ReplaceDecoder | StripDecoder | WordPieceDecoder;

type Of<T extends abstract new (config: never) => unknown> = ConstructorParameters<T>[0];

function perTokenDecoder(config: Config): PerTokenDecoder | undefined {
  // The library's types describe well-formed files; it has already built these decoders from the same configuration.
  // oxlint-disable typescript/no-unsafe-type-assertion
  switch (config['type']) {
    case 'Metaspace':
      return new MetaspaceDecoder(config as unknown as Of<typeof MetaspaceDecoder>);
    case 'Replace':
      return new ReplaceDecoder(config as unknown as Of<typeof ReplaceDecoder>);
    case 'Strip':
      return new StripDecoder(config as unknown as Of<typeof StripDecoder>);
    case 'WordPiece':
      return new WordPieceDecoder(config as unknown as Of<typeof WordPieceDecoder>);
    default:
      return undefined;
  }
  // oxlint-enable typescript/no-unsafe-type-assertion
}

/** Decoders behind `Fuse`, which see all the text as one token. */
function textPass(config: Config): (() => TextPass) | undefined {
  const content = typeof config['content'] === 'string' ? config['content'] : '';
  if (config['type'] === 'Strip') {
    const [start, stop] = [Number(config['start'] ?? 0), Number(config['stop'] ?? 0)];
    return () => new StripPass(content, start, stop);
  }
  const pattern =
    config['type'] === 'Replace' && isRecord(config['pattern']) ? config['pattern'] : {};
  const from = pattern['String'];
  return typeof from === 'string' && from !== '' ? () => new ReplacePass(from, content) : undefined;
}

const encoder = new TextEncoder();

function utf8(token: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(token);
}

/** SentencePiece spells a byte outside its vocabulary as a token such as `<0xE2>`. */
function fallbackBytes(token: string): Uint8Array<ArrayBuffer> {
  const hex = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
  return hex === undefined ? utf8(token) : Uint8Array.of(Number.parseInt(hex, 16));
}

/** GPT-2 spells every byte as a printable character (encoder.py, `bytes_to_unicode`). */
function byteLevelBytes(literals: ReadonlySet<string>): (token: string) => Uint8Array<ArrayBuffer> {
  return (token) => {
    if (literals.has(token)) return utf8(token);
    const bytes: number[] = [];
    for (const char of token) {
      const byte = BYTE_OF_CHAR.get(char);
      if (byte === undefined) return utf8(token);
      bytes.push(byte);
    }
    return Uint8Array.from(bytes);
  };
}

const BYTE_OF_CHAR: ReadonlyMap<string, number> = byteAlphabet();

function byteAlphabet(): Map<string, number> {
  const byteOf = new Map<string, number>();
  let unprintable = 0;
  for (let byte = 0; byte < 256; byte++) {
    const isPrintable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    byteOf.set(String.fromCodePoint(isPrintable ? byte : 256 + unprintable++), byte);
  }
  return byteOf;
}
