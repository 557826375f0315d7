/** How an encoder-decoder generates where a request does not say: generation_config.json, or config.json before that. */
import { ConfigError } from '../util/errors.ts';
import type { TokenRuleSettings } from './core/token_rules.ts';
import { readTokenRules } from './generation_rules.ts';
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

/**
 * Reads the generation settings of an encoder-decoder.
 *
 * @param vocab - tokens of the decoder
 * @throws {ConfigError} if a value is not what its key is for, or asks for what is not supported
 */
export function seq2seqDefaults(
  files: Pick<ModelFiles, 'generationConfig' | 'config'>,
  vocab: number,
): Seq2SeqDefaults {
  const { generationConfig, config } = files;
  // Repositories from before generation_config.json have its keys in config.json.
  const isOld = Object.keys(generationConfig).length === 0;
  const json = isOld ? config.json : generationConfig;
  const raw = (key: string): unknown => json[key] ?? config.raw(key);
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
  const startId = integer('decoder_start_token_id') ?? integer('bos_token_id');
  if (startId === undefined) {
    throw new ConfigError(
      'generation_config.json or config.json: "decoder_start_token_id" is missing, expected the token id that the decoder begins with',
      { key: 'decoder_start_token_id' },
    );
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
    rules: readTokenRules(json, vocab, isOld ? 'config.json' : 'generation_config.json'),
  };
}
