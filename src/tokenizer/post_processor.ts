/** What a tokenizer puts round a text, or round and between a pair of texts. @module */
import { RequestError, TokenizerError } from '../util/errors.ts';
import { describeValue, isRecord } from '../util/objects.ts';

/** Ids that are always there, or the place of one of the texts; and the token type of each. */
type Piece =
  | { readonly ids: readonly number[]; readonly type: number }
  | { readonly text: 'A' | 'B'; readonly type: number };

/** `post_processor` of tokenizer.json. */
export interface PostProcessor {
  readonly single: readonly Piece[];
  readonly pair: readonly Piece[];
}

/** A text, or a pair of them, as a model takes it. */
export interface TypedIds {
  readonly ids: number[];
  /** Which text of a pair each token belongs to, as the tokenizer counts them. */
  readonly typeIds: number[];
  /** Tokens that there would be, had nothing been cut off. */
  readonly uncutLength: number;
}

const textA: Piece = { text: 'A', type: 0 };

/** Nothing round the texts. */
const PLAIN: PostProcessor = { single: [textA], pair: [textA, { text: 'B', type: 1 }] };

/** The same before and after every text; both texts are of type 0 and 1, or as `secondType` says. */
export function roundTexts(
  before: readonly number[],
  after: readonly number[],
  secondType: number,
): PostProcessor {
  const around = (text: 'A' | 'B', type: number): readonly Piece[] => [
    { ids: before, type },
    { text, type },
    { ids: after, type },
  ];
  return { single: around('A', 0), pair: [...around('A', 0), ...around('B', secondType)] };
}

/**
 * Reads `post_processor` of tokenizer.json.
 *
 * @throws {TokenizerError} if it is malformed, of an unknown kind, or names a token that there is not
 */
export function readPostProcessor(
  json: unknown,
  tokenToId: (token: string) => number | undefined,
): PostProcessor {
  if (json === null || json === undefined) return PLAIN;
  if (!isRecord(json)) throw malformed('"post_processor"', json, 'an object');
  const { type, processors = [], sep, cls } = json;
  switch (type) {
    case 'ByteLevel': // changes offsets in the text only
      return PLAIN;
    case 'Sequence': {
      if (!Array.isArray(processors)) throw malformed('"processors"', processors, 'a list');
      const all = processors.map((one) => readPostProcessor(one, tokenToId));
      return all.find((one) => one !== PLAIN) ?? PLAIN;
    }
    case 'BertProcessing': {
      const [first, end] = [flankId('cls', cls), flankId('sep', sep)];
      const single = [{ ids: [first], type: 0 }, textA, { ids: [end], type: 0 }];
      const second: readonly Piece[] = [
        { text: 'B', type: 1 },
        { ids: [end], type: 1 },
      ];
      return { single, pair: [...single, ...second] };
    }
    case 'RobertaProcessing': {
      const [first, end] = [flankId('cls', cls), flankId('sep', sep)];
      const single = [{ ids: [first], type: 0 }, textA, { ids: [end], type: 0 }];
      // Two separators between the texts, and one type for both.
      const second: readonly Piece[] = [
        { ids: [end], type: 0 },
        { text: 'B', type: 0 },
        { ids: [end], type: 0 },
      ];
      return { single, pair: [...single, ...second] };
    }
    case 'TemplateProcessing':
      return {
        single: readTemplate('single', json, tokenToId) ?? PLAIN.single,
        pair: readTemplate('pair', json, tokenToId) ?? PLAIN.pair,
      };
    default:
      throw malformed(
        '"post_processor.type"',
        type,
        'one of TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel, Sequence',
      );
  }
}

/**
 * Puts texts together. Where there are more than `maxTokens`, the longer text of a pair is cut first, down to the other,
 * then both.
 *
 * @param fromLeft - cuts off the beginning of texts, not the end
 * @throws {RequestError} if `maxTokens` leaves no room for what goes round the texts
 */
export function assemble(
  { single, pair }: PostProcessor,
  a: readonly number[],
  b: readonly number[] | undefined,
  maxTokens: number = Infinity,
  fromLeft: boolean = false,
): TypedIds {
  const pieces = b === undefined ? single : pair;
  const added = pieces.reduce((sum, piece) => sum + ('ids' in piece ? piece.ids.length : 0), 0);
  if (added > maxTokens) {
    throw new RequestError(
      `encode: maxTokens is ${maxTokens}, expected at least the ${added} special tokens round a text`,
      { param: 'maxTokens' },
    );
  }
  const [roomA, roomB] = shareRoom(a.length, b?.length ?? 0, maxTokens - added);
  const cut = (ids: readonly number[], length: number): readonly number[] =>
    fromLeft ? ids.slice(ids.length - length) : ids.slice(0, length);
  const texts = { A: cut(a, roomA), B: cut(b ?? [], roomB) };
  const result: TypedIds = {
    ids: [],
    typeIds: [],
    uncutLength: added + a.length + (b?.length ?? 0),
  };
  for (const piece of pieces) {
    for (const id of 'ids' in piece ? piece.ids : texts[piece.text]) {
      result.ids.push(id);
      result.typeIds.push(piece.type);
    }
  }
  return result;
}

/** How much of each text stays: the strategy `longest_first` of the Rust library. */
function shareRoom(a: number, b: number, room: number): readonly [number, number] {
  if (a + b <= room) return [a, b];
  const short = Math.min(a, b);
  const kept = room >= 2 * short ? short : Math.floor(room / 2);
  return a <= b ? [kept, room - kept] : [room - kept, kept];
}

function readTemplate(
  key: 'single' | 'pair',
  json: Readonly<Record<string, unknown>>,
  tokenToId: (token: string) => number | undefined,
): readonly Piece[] | undefined {
  const items = json[key];
  if (items === undefined || items === null) return undefined;
  const where = `"post_processor.${key}"`;
  if (!Array.isArray(items)) throw malformed(where, items, 'a list');
  return items.map((item: unknown): Piece => {
    const special = isRecord(item) ? item['SpecialToken'] : undefined;
    const sequence = isRecord(item) ? item['Sequence'] : undefined;
    const one = special ?? sequence;
    if (!isRecord(one)) throw malformed(`${where}: an item`, item, 'a SpecialToken or a Sequence');
    const { id, type_id: type = 0 } = one;
    if (!isIndex(type)) throw malformed(`${where}: a type_id`, type, 'an integer ≥ 0');
    if (special !== undefined) return { ids: templateIds(id, json, tokenToId), type };
    if (id === 'A' || id === 'B') return { text: id, type };
    throw malformed(`${where}: a Sequence`, id, '"A" or "B"');
  });
}

/** Ids of a special token of a template: its own list, or the token of this name. */
function templateIds(
  name: unknown,
  json: Readonly<Record<string, unknown>>,
  tokenToId: (token: string) => number | undefined,
): readonly number[] {
  const key = String(name);
  const listed = isRecord(json['special_tokens']) ? json['special_tokens'][key] : undefined;
  const ids: unknown = isRecord(listed) ? listed['ids'] : [tokenToId(key)];
  if (Array.isArray(ids) && ids.every(isIndex)) return ids;
  throw malformed('"post_processor": a special token', name, 'one of the vocabulary');
}

/** Id of `[token, id]`. */
function flankId(key: string, value: unknown): number {
  const id: unknown = Array.isArray(value) ? value[1] : undefined;
  if (isIndex(id)) return id;
  throw malformed(`"post_processor.${key}"`, value, 'a token and its id');
}

function isIndex(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function malformed(what: string, found: unknown, expected: string): TokenizerError {
  return new TokenizerError(
    `tokenizer.json: ${what} is ${describeValue(found)}, expected ${expected}`,
  );
}
