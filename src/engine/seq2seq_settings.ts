/** How an encoder-decoder generates where a request does not say: generation_config.json, or config.json before that. */
import { ConfigError } from '../util/errors.ts';
import { NO_TOKEN_RULES, type TokenRuleSettings } from './core/token_rules.ts';
import { generationDefaults, type GenerationDefaults, type ModelFiles } from './model.ts';

/** What replies are like where the request does not say. */
export interface Seq2SeqDefaults extends GenerationDefaults {
  /** Token that the decoder begins with. */
  readonly startId: number;
  readonly rules: TokenRuleSettings;
  readonly numBeams: number;
  readonly lengthPenalty: number;
  readonly earlyStopping: boolean | 'never';
  /** Most tokens of the decoder, the start token counted; undefined: `maxTokens`, or the context. */
  readonly maxLength: number | undefined;
}

/** Keys of generation_config.json that would change the result and that we have no code for, and what turns them off. */
const UNSUPPORTED: Readonly<Record<string, readonly unknown[]>> = {
  num_beam_groups: [1],
  diversity_penalty: [0],
  penalty_alpha: [0],
  typical_p: [1],
  epsilon_cutoff: [0],
  eta_cutoff: [0],
  encoder_repetition_penalty: [1],
  exponential_decay_length_penalty: [],
  sequence_bias: [],
  constraints: [],
  force_words_ids: [],
  guidance_scale: [1],
};

/**
 * Reads the generation settings of an encoder-decoder.
 *
 * @throws {ConfigError} if a value is not what its key is for, or asks for what is not supported
 */
export function seq2seqDefaults(
  files: Pick<ModelFiles, 'generationConfig' | 'config'>,
): Seq2SeqDefaults {
  const { generationConfig, config } = files;
  const raw = (key: string): unknown => generationConfig[key] ?? config.raw(key) ?? undefined;
  const wrong = (key: string, expected: string): ConfigError =>
    new ConfigError(
      `generation_config.json or config.json: "${key}" is ${JSON.stringify(raw(key))}, expected ${expected}`,
      { key },
    );
  const integer = (key: string): number | undefined => {
    const value = raw(key);
    if (value === undefined || (Number.isSafeInteger(value) && Number(value) >= 0)) {
      return value === undefined ? undefined : Number(value);
    }
    throw wrong(key, 'a non-negative integer');
  };
  const number = (key: string, fallback: number): number => {
    const value = raw(key) ?? fallback;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw wrong(key, 'a number');
  };
  const ids = (key: string): readonly number[] => {
    const value = raw(key) ?? [];
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    return list.map((id) => {
      if (Number.isSafeInteger(id) && Number(id) >= 0) return Number(id);
      throw wrong(key, 'a token id or a list of them');
    });
  };
  const startId = integer('decoder_start_token_id') ?? integer('bos_token_id');
  if (startId === undefined) {
    throw new ConfigError(
      'generation_config.json or config.json: "decoder_start_token_id" is missing, expected the token id that the decoder begins with',
      { key: 'decoder_start_token_id' },
    );
  }
  for (const [key, off] of Object.entries(UNSUPPORTED)) {
    const value = generationConfig[key] ?? undefined;
    if (value === undefined || off.includes(value)) continue;
    throw wrong(key, `${off.map(String).join(' or ') || 'nothing'}: it is not supported`);
  }
  const earlyStopping = raw('early_stopping') ?? false;
  if (typeof earlyStopping !== 'boolean' && earlyStopping !== 'never') {
    throw wrong('early_stopping', 'true, false or "never"');
  }
  return {
    ...generationDefaults(files),
    startId,
    numBeams: Math.max(1, integer('num_beams') ?? 1),
    lengthPenalty: number('length_penalty', 1),
    earlyStopping,
    maxLength: integer('max_length'),
    rules: {
      ...NO_TOKEN_RULES,
      repetitionPenalty: number('repetition_penalty', 1),
      noRepeatNgramSize: integer('no_repeat_ngram_size') ?? 0,
      encoderNoRepeatNgramSize: integer('encoder_no_repeat_ngram_size') ?? 0,
      badWords: readWords(raw('bad_words_ids') ?? [], wrong),
      minLength: integer('min_length') ?? 0,
      minNewTokens: integer('min_new_tokens') ?? 0,
      forcedBosId: integer('forced_bos_token_id'),
      forcedEosId: ids('forced_eos_token_id')[0],
      suppressedIds: ids('suppress_tokens'),
      beginSuppressedIds: ids('begin_suppress_tokens'),
    },
  };
}

function readWords(
  value: unknown,
  wrong: (key: string, expected: string) => ConfigError,
): readonly (readonly number[])[] {
  const isId = (id: unknown): id is number => Number.isSafeInteger(id) && Number(id) >= 0;
  const isWord = (word: unknown): word is readonly number[] =>
    Array.isArray(word) && word.length > 0 && word.every(isId);
  if (Array.isArray(value) && value.every(isWord)) return value;
  throw wrong('bad_words_ids', 'a list of lists of token ids');
}
