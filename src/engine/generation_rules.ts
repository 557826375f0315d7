import { ConfigError } from '../util/errors.ts';
import type { TokenRuleSettings } from './core/token_rules.ts';

type Json = Readonly<Record<string, unknown>>;

/** Keys that would change what is generated in a way the engine does not know, with the values that change nothing. */
const UNSUPPORTED: Readonly<Record<string, readonly unknown[]>> = {
  constraints: [],
  diversity_penalty: [0],
  dola_layers: [],
  encoder_repetition_penalty: [1],
  epsilon_cutoff: [0],
  eta_cutoff: [0],
  exponential_decay_length_penalty: [],
  force_words_ids: [],
  guidance_scale: [1],
  num_beam_groups: [1],
  penalty_alpha: [0],
  renormalize_logits: [false],
  sequence_bias: [],
  top_h: [],
  typical_p: [1],
  watermarking_config: [],
};

/**
 * What generation_config.json says about which tokens may come next.
 *
 * @param json - generation_config.json, or config.json of repositories from before there was such a file
 * @param vocab - tokens of the decoder, for the range of ids
 * @param file - which of the two it is, for errors
 * @throws {ConfigError} if a value is not what its key is for, or keys ask for what the engine cannot do
 */
export function readTokenRules(
  json: Json,
  vocab: number,
  file = 'generation_config.json',
): TokenRuleSettings {
  refuseUnsupported(json, file);
  const isId = (value: unknown): value is number => isCount(value) && value < vocab;
  const isIdList = (value: unknown): value is readonly number[] =>
    Array.isArray(value) && value.every(isId);

  const read = <T>(
    key: string,
    fallback: T,
    isValid: (value: unknown) => value is T,
    expected: string,
  ): T => {
    const value = json[key] ?? undefined;
    if (value === undefined) return fallback;
    if (isValid(value)) return value;
    throw new ConfigError(`${file}: "${key}" is ${JSON.stringify(value)}, expected ${expected}`, {
      key,
    });
  };
  const ids = `from 0 to ${vocab - 1}`;
  const count = (key: string): number => read(key, 0, isCount, 'an integer of 0 or more');
  const id = (key: string): number | undefined => read(key, undefined, isId, `a token id ${ids}`);
  const idList = (key: string): readonly number[] =>
    read(key, [], isIdList, `a list of token ids ${ids}`);

  return {
    repetitionPenalty: read('repetition_penalty', 1, isPositive, 'a positive number'),
    noRepeatNgramSize: count('no_repeat_ngram_size'),
    encoderNoRepeatNgramSize: count('encoder_no_repeat_ngram_size'),
    badWords: read(
      'bad_words_ids',
      [],
      (value) => Array.isArray(value) && value.every(isIdList),
      `a list of lists of token ids ${ids}`,
    ),
    minLength: count('min_length'),
    minNewTokens: read('min_new_tokens', undefined, isCount, 'an integer of 0 or more'),
    forcedBosId: id('forced_bos_token_id'),
    // A list means any of them: the first will do.
    forcedEosId: isIdList(json['forced_eos_token_id'])
      ? json['forced_eos_token_id'][0]
      : id('forced_eos_token_id'),
    suppressedIds: idList('suppress_tokens'),
    beginSuppressedIds: idList('begin_suppress_tokens'),
  };
}

function refuseUnsupported(json: Json, file: string): void {
  const found = Object.entries(UNSUPPORTED).filter(([key, neutral]) => {
    const value = json[key] ?? undefined;
    return value !== undefined && !neutral.includes(value);
  });
  const [first] = found;
  if (first === undefined) return;
  const list = found.map(([key]) => `"${key}": ${JSON.stringify(json[key])}`).join(', ');
  throw new ConfigError(
    `${file}: found ${list}, which the engine does not know; remove ${found.length === 1 ? 'it' : 'them'} to generate without`,
    { key: first[0] },
  );
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isPositive(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && Number.isFinite(value);
}
