import { describe, expect, it } from 'vitest';
import { NO_TOKEN_RULES } from '../../../src/engine/core/token_rules.ts';
import { readTokenRules, refuseUnsupported } from '../../../src/engine/generation_rules.ts';
import { OptionReader, wrongIn } from '../../../src/engine/option_reader.ts';
import { ConfigError } from '../../../src/util/errors.ts';

const VOCAB = 100;
const FILE = 'generation_config.json';

const read = (json: Readonly<Record<string, unknown>>) =>
  readTokenRules(new OptionReader(json, wrongIn(FILE)), VOCAB);

describe('readTokenRules', () => {
  it('finds no rules where there are none', () => {
    expect(read({})).toEqual(NO_TOKEN_RULES);
    const nulls = { bad_words_ids: null, forced_bos_token_id: null, sequence_bias: null };
    expect(read(nulls)).toEqual(NO_TOKEN_RULES);
  });

  it('reads every key it knows', () => {
    const json = {
      repetition_penalty: 1.2,
      no_repeat_ngram_size: 3,
      encoder_no_repeat_ngram_size: 4,
      bad_words_ids: [[99], [1, 2]],
      min_length: 56,
      min_new_tokens: 0,
      forced_bos_token_id: 0,
      forced_eos_token_id: 2,
      suppress_tokens: [5],
      begin_suppress_tokens: [6, 7],
      num_beams: 4,
    };
    expect(read(json)).toEqual({
      repetitionPenalty: 1.2,
      noRepeatNgramSize: 3,
      encoderNoRepeatNgramSize: 4,
      badWords: [[99], [1, 2]],
      minLength: 56,
      minNewTokens: 0,
      forcedBosId: 0,
      forcedEosId: 2,
      suppressedIds: [5],
      beginSuppressedIds: [6, 7],
    });
    expect(read({ forced_eos_token_id: [8, 9] }).forcedEosId).toBe(8);
  });

  it.each([
    [
      { no_repeat_ngram_size: -1 },
      '"no_repeat_ngram_size" is -1, expected an integer of 0 or more',
    ],
    [{ repetition_penalty: 0 }, '"repetition_penalty" is 0, expected a number from 0.01 to 100'],
    [{ bad_words_ids: [4] }, '"bad_words_ids" is [4], expected a list of lists of token ids'],
    [
      { bad_words_ids: [[100]] },
      '"bad_words_ids" is [[100]], expected a list of lists of token ids from 0 to 99',
    ],
    [
      { forced_bos_token_id: 'en' },
      '"forced_bos_token_id" is "en", expected a token id from 0 to 99',
    ],
    [{ suppress_tokens: 3 }, '"suppress_tokens" is 3, expected a list of token ids'],
    [{ min_new_tokens: 1.5 }, '"min_new_tokens" is 1.5, expected an integer of 0 or more'],
  ])('refuses %j', (json, message) => {
    expect(() => read(json)).toThrow(ConfigError);
    expect(() => read(json)).toThrow(message);
  });
});

describe('refuseUnsupported', () => {
  it('names all keys that would change the result unnoticed', () => {
    const json = { guidance_scale: 1.5, sequence_bias: [[[1], -2]], typical_p: 1, min_length: 3 };
    expect(() => refuseUnsupported(json, FILE)).toThrow(
      'generation_config.json: found "guidance_scale": 1.5, "sequence_bias": [[[1],-2]], which the engine does not know; remove them',
    );
  });

  it('lets such keys pass at the values that change nothing', () => {
    const json = {
      diversity_penalty: 0,
      encoder_repetition_penalty: 1,
      num_beam_groups: 1,
      typical_p: 1,
      watermarking_config: null,
    };
    expect(() => refuseUnsupported(json, FILE)).not.toThrow();
  });
});
