import { TokenizerError } from '../util/errors.ts';
import { describeValue, isRecord } from '../util/objects.ts';

/** A token outside the model's own vocabulary, from `added_tokens` of tokenizer.json. */
interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly isSpecial: boolean;
}

/** A tokenizer.json whose outline has been checked; its parts are checked by the library that builds them. */
export interface TokenizerFile {
  readonly json: Readonly<Record<string, unknown>>;
  readonly addedTokens: readonly AddedToken[];
}

const MODEL_KINDS = ['BPE', 'Unigram', 'WordPiece'] as const;
type ModelKind = (typeof MODEL_KINDS)[number];

/**
 * Checks tokenizer.json and fills in what older files leave out.
 *
 * @throws {TokenizerError} if it is missing, malformed, or its model is of an unknown kind
 */
export function readTokenizerFile(value: unknown): TokenizerFile {
  if (value === undefined || value === null) {
    throw new TokenizerError(
      'tokenizer.json: found nothing, expected the tokenizer of the model; vocabularies in other files (tokenizer.model, vocab.txt) are not read, save it as a fast tokenizer',
    );
  }
  if (!isRecord(value)) throw malformed('the file', value, 'an object');
  const model = value['model'];
  if (!isRecord(model)) throw malformed('"model"', model, 'an object');
  const vocab = model['vocab'];
  if (!isRecord(vocab) && !Array.isArray(vocab)) {
    throw malformed('"model.vocab"', vocab, 'an object or a list');
  }
  const added = value['added_tokens'] ?? [];
  if (!Array.isArray(added)) throw malformed('"added_tokens"', added, 'a list');
  const json = {
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    ...value,
    added_tokens: added,
    model: { ...model, type: modelKind(model) },
  };
  return { json, addedTokens: added.map(readAddedToken) };
}

/** Files written before `type` was (2020) are told apart by their other keys, as the Rust library does. */
function modelKind(model: Readonly<Record<string, unknown>>): ModelKind {
  const type = model['type'];
  const known = MODEL_KINDS.find((kind) => kind === type);
  if (known) return known;
  if (type === undefined || type === null) {
    if (Array.isArray(model['vocab'])) return 'Unigram';
    if (Array.isArray(model['merges'])) return 'BPE';
    if ('max_input_chars_per_word' in model) return 'WordPiece';
  }
  throw malformed('"model.type"', type, `one of ${MODEL_KINDS.join(', ')}`);
}

function readAddedToken(token: unknown, index: number): AddedToken {
  if (
    !isRecord(token) ||
    typeof token['content'] !== 'string' ||
    typeof token['id'] !== 'number' ||
    !Number.isSafeInteger(token['id']) ||
    token['id'] < 0
  ) {
    throw malformed(`"added_tokens[${index}]"`, token, 'an object with an id ≥ 0 and content');
  }
  return { id: token['id'], content: token['content'], isSpecial: token['special'] === true };
}

function malformed(what: string, found: unknown, expected: string): TokenizerError {
  return new TokenizerError(
    `tokenizer.json: ${what} is ${describeValue(found)}, expected ${expected}`,
  );
}
