import { ConfigError } from '../util/errors.ts';
import type { TokenRuleSettings } from './core/token_rules.ts';
import type { OptionReader } from './option_reader.ts';

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
  sequence_bias: [],
  top_h: [],
  typical_p: [1],
  watermarking_config: [],
};

/**
 * What the options of `generate` say about which tokens may come next.
 *
 * @param vocab - tokens of the decoder, for the range of ids
 * @throws what `options` throws for a value that is not what its key is for
 */
export function readTokenRules(options: OptionReader, vocab: number): TokenRuleSettings {
  const forcedEos = options.raw('forced_eos_token_id');
  return {
    repetitionPenalty: options.number('repetition_penalty', 0.01, 100) ?? 1,
    noRepeatNgramSize: options.count('no_repeat_ngram_size') ?? 0,
    encoderNoRepeatNgramSize: options.count('encoder_no_repeat_ngram_size') ?? 0,
    badWords: options.idLists('bad_words_ids', vocab) ?? [],
    minLength: options.count('min_length') ?? 0,
    minNewTokens: options.count('min_new_tokens'),
    forcedBosId: options.id('forced_bos_token_id', vocab),
    // A list means any of them: the first will do.
    forcedEosId: Array.isArray(forcedEos)
      ? options.ids('forced_eos_token_id', vocab)?.[0]
      : options.id('forced_eos_token_id', vocab),
    suppressedIds: options.ids('suppress_tokens', vocab) ?? [],
    beginSuppressedIds: options.ids('begin_suppress_tokens', vocab) ?? [],
  };
}

/**
 * Refuses options that would change what is generated in a way the engine does not know.
 *
 * @param file - where they are from, for the error
 * @throws {ConfigError} naming all of them
 */
export function refuseUnsupported(json: Json, file: string): void {
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
