/**
 * Which tokens may come next, given those that came before: the rules of `generate` in Transformers
 * (generation/logits_process.py) that look at tokens, as integers.
 *
 * @module
 */

/** Factor of a token that may not come next. */
export const FORBIDDEN = 1e30;

/** What a model or a request asks for. Lengths are those of the decoder's tokens, the start token counted. */
export interface TokenRuleSettings {
  /** Factor on the log-probability of every token that came before; 1 is off. */
  readonly repetitionPenalty: number;
  /** No n tokens in a row come twice; 0 is off. */
  readonly noRepeatNgramSize: number;
  /** No n tokens in a row of the encoder's input come again; 0 is off. */
  readonly encoderNoRepeatNgramSize: number;
  /** Tokens that may not come in this order. */
  readonly badWords: readonly (readonly number[])[];
  /** No end before that many tokens. */
  readonly minLength: number;
  /** No end before that many tokens after the prompt; where given, `minLength` does not count. */
  readonly minNewTokens: number | undefined;
  /** The token after the start token. */
  readonly forcedBosId: number | undefined;
  /** The token that fills the maximum length. */
  readonly forcedEosId: number | undefined;
  /** Tokens that never come. */
  readonly suppressedIds: readonly number[];
  /** Tokens that do not come first. */
  readonly beginSuppressedIds: readonly number[];
}

/** No rules at all. */
export const NO_TOKEN_RULES: TokenRuleSettings = {
  repetitionPenalty: 1,
  noRepeatNgramSize: 0,
  encoderNoRepeatNgramSize: 0,
  badWords: [],
  minLength: 0,
  minNewTokens: undefined,
  forcedBosId: undefined,
  forcedEosId: undefined,
  suppressedIds: [],
  beginSuppressedIds: [],
};

/** What the rules must know of a request. */
export interface RuledRequest {
  /** Decoder tokens that were given, 1 for a start token alone. */
  readonly numPrompt: number;
  /** Decoder tokens at which the request ends. */
  readonly maxLength: number;
  readonly eosIds: ReadonlySet<number>;
  /** The encoder's tokens, where there is an encoder. */
  readonly encoderInput?: readonly number[] | undefined;
}

/** The rules for one token. */
export interface TokenRules {
  /** The only token that may come, with a log-probability of 0; undefined: the factors say. */
  readonly forced: number | undefined;
  /** Token id → factor on its log-probability, or `FORBIDDEN`. */
  readonly factors: ReadonlyMap<number, number>;
}

/**
 * Makes the function that gives the rules of the next token.
 *
 * @param settings - with `repetitionPenalty` 1 every factor is `FORBIDDEN`: for samplers that do the penalty
 * themselves, which on logits is not a factor
 * @returns a pure function of the decoder's tokens so far, the prompt included
 */
export function tokenRules(
  settings: TokenRuleSettings,
  request: RuledRequest,
): (tokens: readonly number[]) => TokenRules {
  const { numPrompt, eosIds, encoderInput = [] } = request;
  const { forcedBosId, repetitionPenalty } = settings;
  // A word that is an EOS alone would leave no end; as in the reference, it is no bad word.
  const badWords = settings.badWords.filter(
    ([id = -1, ...rest]) => rest.length > 0 || !eosIds.has(id),
  );
  const { minNewTokens } = settings;
  const minLength = minNewTokens === undefined ? settings.minLength : numPrompt + minNewTokens;
  // After a forced first token, the first free one is the second.
  const firstFree = numPrompt === 1 && forcedBosId !== undefined ? 2 : numPrompt;

  return (tokens) => {
    const factors = new Map<number, number>();
    const forbid = (ids: Iterable<number>): void => {
      for (const id of ids) factors.set(id, FORBIDDEN);
    };
    const forced = forcedToken(settings, request, tokens.length);
    if (forced !== undefined) return { forced, factors };
    if (repetitionPenalty !== 1) for (const id of tokens) factors.set(id, repetitionPenalty);
    forbid(ngramEnds(tokens, tokens, settings.noRepeatNgramSize));
    forbid(ngramEnds(encoderInput, tokens, settings.encoderNoRepeatNgramSize));
    for (const word of badWords) forbid(ngramEnds(word, tokens, word.length));
    if (tokens.length < minLength) forbid(eosIds);
    forbid(settings.suppressedIds);
    if (tokens.length === firstFree) forbid(settings.beginSuppressedIds);
    return { forced: undefined, factors };
  };
}

/** The only token that may come after `length` tokens, undefined where there is a choice. */
export function forcedToken(
  { forcedBosId, forcedEosId }: TokenRuleSettings,
  { maxLength }: RuledRequest,
  length: number,
): number | undefined {
  if (forcedEosId !== undefined && length === maxLength - 1) return forcedEosId;
  return length === 1 ? forcedBosId : undefined;
}

/** Most tokens that the rules name at one time, beside those of the sequence and of the encoder's input. */
export function numFixedRules(
  { badWords, suppressedIds, beginSuppressedIds }: TokenRuleSettings,
  { eosIds }: Pick<RuledRequest, 'eosIds'>,
): number {
  // Words whose tokens but the last are the same apply together, and those of other lengths with them.
  const words = new Map<string, number>();
  const most = new Map<number, number>();
  for (const word of badWords) {
    const start = word.slice(0, -1);
    const key = start.join();
    const count = (words.get(key) ?? 0) + 1;
    words.set(key, count);
    most.set(start.length, Math.max(most.get(start.length) ?? 0, count));
  }
  const numWords = [...most.values()].reduce((sum, count) => sum + count, 0);
  return numWords + eosIds.size + suppressedIds.length + beginSuppressedIds.length;
}

/**
 * Whether the rules look at what the tokens are. If not, they follow from how many there are, so that any stand for
 * those not known yet.
 */
export function dependsOnTokens(settings: TokenRuleSettings): boolean {
  return (
    settings.repetitionPenalty !== 1 ||
    settings.noRepeatNgramSize > 0 ||
    settings.encoderNoRepeatNgramSize > 1 ||
    settings.badWords.some((word) => word.length > 1)
  );
}

/** Last tokens of those n-grams of `source` that begin with the last n - 1 of `tokens`. */
function ngramEnds(source: readonly number[], tokens: readonly number[], size: number): number[] {
  const start = tokens.length - (size - 1);
  const ends: number[] = [];
  if (size === 0 || start < 0) return ends;
  for (let end = size - 1; end < source.length; end++) {
    let matched = 0;
    while (matched < size - 1 && source[end - size + 1 + matched] === tokens[start + matched]) {
      matched++;
    }
    const last = source[end];
    if (matched === size - 1 && last !== undefined) ends.push(last);
  }
  return ends;
}
