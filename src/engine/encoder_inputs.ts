/** Inputs of `encode`, checked and turned into tokens. @module */
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { RequestError } from '../util/errors.ts';
import { describeValue, isRecord } from '../util/objects.ts';
import type { EncoderInput } from './encoder_api.ts';
import type { EncoderSequence } from './encoder_state.ts';
import type { EncoderFacts, EncodingPlan } from './encoding_plan.ts';

/** What inputs are turned into tokens with. */
export interface InputContext {
  readonly facts: EncoderFacts;
  readonly plan: EncodingPlan;
  /** @throws {TokenizerError} if the repository has none */
  readonly tokenizer: () => Tokenizer;
}

/**
 * Checks the form of an input; {@link sequenceOf} checks what depends on its tokens.
 *
 * @param where - the input's name in messages
 * @throws {RequestError} if it is no input
 */
export function checkInput(where: string, input: unknown): asserts input is EncoderInput {
  const fail = (what: string, value: unknown, expected: string): RequestError =>
    new RequestError(`request: ${where}${what} is ${describeValue(value)}, expected ${expected}`, {
      param: 'input',
    });
  if (typeof input === 'string') return;
  if (!isRecord(input) || (input['text'] === undefined) === (input['ids'] === undefined)) {
    const hint = typeof input === 'number' ? '; token ids go into { ids: [...] }' : '';
    throw fail('', input, `a text, { text, pair } or { ids, typeIds }${hint}`);
  }
  const { text, pair, ids, typeIds } = input;
  if (ids === undefined) {
    if (typeof text !== 'string') throw fail('.text', text, 'a text');
    if (pair !== undefined && typeof pair !== 'string') throw fail('.pair', pair, 'a text');
    return;
  }
  if (!Array.isArray(ids) || ids.length === 0) throw fail('.ids', ids, 'a list of token ids');
  if (typeIds === undefined) return;
  if (!Array.isArray(typeIds)) throw fail('.typeIds', typeIds, 'a list of token types');
  if (typeIds.length !== ids.length) {
    throw fail('.typeIds.length', typeIds.length, `${ids.length}, as there are ids`);
  }
}

/**
 * The tokens of an input.
 *
 * @throws {RequestError} if it is empty or too long, or a token or its type is none of the model's
 * @throws {TokenizerError} if the repository has no tokenizer, or it fails
 */
export function sequenceOf(
  where: string,
  input: EncoderInput,
  { facts, plan, tokenizer }: InputContext,
): EncoderSequence {
  const { vocab, tokenTypes } = facts;
  const { ids, typeIds, length } = tokensOf(input, plan, tokenizer);
  if (length > plan.maxTokens && !plan.truncates) {
    throw new RequestError(
      `request: ${where} has ${length} tokens, expected at most ${plan.maxTokens}; set truncate: true to cut it off`,
      { param: 'input' },
    );
  }
  if (ids.length === 0) {
    throw new RequestError(`request: ${where} has no tokens, expected at least one`, {
      param: 'input',
    });
  }
  checkIndices(`${where}: token`, ids, vocab);
  // A model of one type does not tell texts of a pair apart, whatever its tokenizer says.
  const isTyped = typeIds !== undefined && (tokenTypes > 1 || isGiven(input));
  if (isTyped) checkIndices(`${where}: type of token`, typeIds, Math.max(1, tokenTypes));
  return {
    ids,
    typeIds: isTyped ? typeIds : undefined,
    positions: plan.task.selects ? masksOf(ids, tokenizer) : undefined,
  };
}

interface Tokens {
  readonly ids: readonly number[];
  readonly typeIds: readonly number[] | undefined;
  /** Before it was cut off. */
  readonly length: number;
}

function tokensOf(
  input: EncoderInput,
  { maxTokens, truncates }: EncodingPlan,
  tokenizer: () => Tokenizer,
): Tokens {
  if (typeof input !== 'string' && 'ids' in input) {
    const { ids, typeIds } = input;
    const cut = <T>(list: readonly T[]): readonly T[] => list.slice(0, maxTokens);
    return { ids: cut(ids), typeIds: typeIds && cut(typeIds), length: ids.length };
  }
  const { text, pair } = typeof input === 'string' ? { text: input, pair: undefined } : input;
  const most = truncates ? maxTokens : undefined;
  const { ids, typeIds, uncutLength } = tokenizer().encodePair(text, pair, most);
  return { ids, typeIds, length: uncutLength };
}

/** Where the tokens to be guessed are. */
function masksOf(ids: readonly number[], tokenizer: () => Tokenizer): readonly number[] {
  const { maskId } = tokenizer();
  if (maskId === undefined) {
    throw new RequestError(
      'request: rows is "masked", but the tokenizer has no mask token; leave `rows` out',
      { param: 'rows' },
    );
  }
  return [...ids.keys()].filter((i) => ids[i] === maskId);
}

function isGiven(input: EncoderInput): boolean {
  return typeof input !== 'string' && 'ids' in input;
}

function checkIndices(what: string, values: readonly unknown[], count: number): void {
  const at = values.findIndex(
    (value) => !Number.isInteger(value) || Number(value) < 0 || Number(value) >= count,
  );
  if (at >= 0) {
    throw new RequestError(
      `request: ${what} ${at} is ${describeValue(values[at])}, expected an integer from 0 to ${count - 1}`,
      { param: 'input' },
    );
  }
}
