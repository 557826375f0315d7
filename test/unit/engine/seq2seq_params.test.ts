import { describe, expect, it } from 'vitest';
import { Scheduler } from '../../../src/engine/core/scheduler.ts';
import type { ResolvedLimits } from '../../../src/engine/limits.ts';
import { resolveJobs, type Seq2SeqFacts } from '../../../src/engine/seq2seq_params.ts';
import type { Seq2SeqParams } from '../../../src/engine/seq2seq_api.ts';
import { settingsReader } from '../../../src/engine/seq2seq_settings.ts';
import { ConfigReader } from '../../../src/models/config.ts';
import { ConfigError, RequestError, TokenizerError } from '../../../src/util/errors.ts';

type Json = Readonly<Record<string, unknown>>;

const VOCAB = 50;
const LIMITS: ResolvedLimits = {
  inputLength: 12,
  encoderBudget: 64,
  contextLength: 20,
  pages: 16,
  kvDtype: 'f32',
  pageSize: 4,
  maxSequences: 33,
  maxRows: 33,
  maxDrafts: 0,
  tokenBudget: 33,
  maxInFlight: 2,
  measureGpuTime: false,
};
const CONFIG = { decoder_start_token_id: 2, eos_token_id: 1, num_beams: 5, min_length: 3 };

const readerOf = (generationConfig: Json, config: Json = CONFIG) =>
  settingsReader({ generationConfig, config: new ConfigReader(config) }, VOCAB);

function factsOf(generationConfig: Json, config?: Json): Seq2SeqFacts {
  const { pages: numBlocks, inputLength: maxEncoderInput, ...limits } = LIMITS;
  return {
    settings: readerOf(generationConfig, config),
    tokenizer: () => {
      throw new TokenizerError('no tokenizer');
    },
    vocab: 40,
    limits: LIMITS,
    generator: { scheduler: new Scheduler({ ...limits, numBlocks, maxEncoderInput }) },
  };
}

const SOME = { max_new_tokens: 6, decoder_start_token_id: 2, eos_token_id: 1 };
const FACTS = factsOf(SOME);
const INPUT = { ids: [5, 6, 7] };

const resolve = (params: object, facts = FACTS) => resolveJobs([INPUT], params, facts)[0];
const settings = (params: object, facts = FACTS) => resolve(params, facts)?.settings;

describe('settingsReader', () => {
  it('reads generation_config.json', () => {
    const read = readerOf({
      ...SOME,
      num_beams: 4,
      length_penalty: 0.6,
      early_stopping: 'never',
      num_return_sequences: 2,
      forced_bos_token_id: 7,
      do_sample: false,
      temperature: 0.5,
      max_length: 100,
    });
    expect(read()).toMatchObject({
      startIds: [2],
      eosIds: new Set([1]),
      numBeams: 4,
      numReturn: 2,
      lengthPenalty: 0.6,
      earlyStopping: 'never',
      maxLength: 7,
      temperature: 0,
      rules: { forcedBosId: 7, minLength: 0 },
    });
  });

  it('reads config.json, but only ids where there is a generation_config.json', () => {
    expect(readerOf({})()).toMatchObject({ numBeams: 5, startIds: [2], rules: { minLength: 3 } });
    const beside = readerOf({ max_length: 30 })();
    expect(beside).toMatchObject({
      numBeams: 1,
      startIds: [2],
      maxLength: 30,
      eosIds: new Set([1]),
      rules: { minLength: 0 },
    });
    expect(readerOf({}, { bos_token_id: 3 })().startIds).toEqual([3]);
  });

  it.each<[Json, string]>([
    [{ num_beams: 0 }, '"num_beams" is 0, expected an integer from 1 to'],
    [{ early_stopping: 'soon' }, '"early_stopping" is "soon", expected true, false or "never"'],
    [{ length_penalty: '1' }, '"length_penalty" is "1", expected a number from -100 to 100'],
    [
      { num_beams: 2, num_return_sequences: 3 },
      '"num_return_sequences" is 3, expected an integer from 1 to 2',
    ],
    [{ max_length: 2.5 }, '"max_length" is 2.5, expected an integer from 1 to'],
    [{ eos_token_id: [1, 50] }, '"eos_token_id" is [1,50], expected ids from 0 to 49'],
    [{ decoder_start_token_id: 50 }, '"decoder_start_token_id" is 50, expected a token id from 0'],
    [{ penalty_alpha: 0.6 }, 'found "penalty_alpha": 0.6, which the engine does not know'],
  ])('refuses %j', (json, message) => {
    expect(() => readerOf({ ...SOME, ...json })).toThrow(ConfigError);
    expect(() => readerOf({ ...SOME, ...json })).toThrow(`generation_config.json: ${message}`);
  });

  it('needs a start token', () => {
    expect(() => readerOf({}, { eos_token_id: 1 })).toThrow(/"decoder_start_token_id" is missing/);
  });
});

describe('resolveJobs', () => {
  it('lets a request go before the files, and null take away what they say', () => {
    const facts = factsOf({ ...SOME, num_beams: 4, no_repeat_ngram_size: 3, suppress_tokens: [4] });
    const params = { num_beams: undefined, no_repeat_ngram_size: null, suppress_tokens: [5] };
    expect(settings(params, facts)).toMatchObject({
      numBeams: 4,
      rules: { noRepeatNgramSize: 0, suppressedIds: [5] },
    });
  });

  it('counts lengths as Transformers does', () => {
    const tokens = (params: Seq2SeqParams, facts = FACTS) => resolve(params, facts)?.maxTokens;
    expect(tokens({})).toBe(6);
    expect(tokens({ max_new_tokens: 8 })).toBe(8);
    expect(tokens({ max_length: 8 })).toBe(7); // goes before the model's max_new_tokens
    expect(tokens({ max_length: 8, max_new_tokens: 3 })).toBe(3);
    expect(tokens({ max_length: 8, decoder_input_ids: [2, 3, 4] })).toBe(5);
    expect(tokens({ max_length: 8, decoder_input_ids: [3, 4] })).toBe(5);
    // Up to the context, or less where the beams must share the cache: 15 pages of 4 beside the input.
    expect(tokens({ max_new_tokens: null })).toBe(19);
    expect(tokens({ max_new_tokens: null, num_beams: 4 })).toBe(12);
    expect(tokens({ max_new_tokens: 100 })).toBe(19);
    // What was asked for is not cut: the scheduler says that it does not fit.
    expect(tokens({ max_new_tokens: 18, num_beams: 4 })).toBe(18);
    expect(resolve({ max_length: 8 })?.ruled).toMatchObject({ numPrompt: 1, maxLength: 8 });
  });

  it('samples only if asked to, the same for every input', () => {
    const sampled = { temperature: 0.7, top_k: 3, seed: 5 };
    expect(resolve(sampled)?.sampling.temperature).toBe(0);
    const jobs = resolveJobs([INPUT, INPUT], { ...sampled, do_sample: true }, FACTS);
    expect(jobs[0]?.sampling).toMatchObject({ temperature: 0.7, topK: 3, seed: [5, 0] });
    expect(jobs[1]?.sampling).toEqual(jobs[0]?.sampling);
  });

  it('cuts inputs off if asked to', () => {
    const ids = Array.from({ length: 13 }, (_, i) => i);
    const [job] = resolveJobs([{ ids }], { truncate: true }, FACTS);
    expect(job?.encoderInput).toEqual(ids.slice(0, 12));
  });

  it.each<[object, string, RegExp]>([
    [{ max_new_tokens: 0 }, 'max_new_tokens', /is 0, expected an integer from 1/],
    [{ max_length: 'a' }, 'max_length', /is "a", expected an integer/],
    [{ max_length: 1 }, 'max_length', /max_length is 1, but the decoder begins with 1 token/],
    [{ min_new_tokens: -1 }, 'min_new_tokens', /is -1, expected an integer of 0 or more/],
    [{ min_length: 0.5 }, 'min_length', /is 0\.5/],
    [{ decoder_input_ids: [50] }, 'decoder_input_ids', /expected a list of token ids from 0 to 49/],
    [{ eos_token_id: 50 }, 'eos_token_id', /expected ids from 0 to 49/],
    [{ eos_token_id: 'x' }, 'eos_token_id', /is "x", expected a token id or a list of them/],
    [{ do_sample: 1 }, 'do_sample', /is 1, expected true or false/],
    [{ temperature: -1 }, 'temperature', /is -1, expected a number from 0 to 100/],
    [{ top_k: 1.5 }, 'top_k', /is 1\.5, expected an integer/],
    [{ top_p: 2 }, 'top_p', /is 2, expected a number from 0 to 1/],
    [{ min_p: NaN }, 'min_p', /is NaN/],
    [{ seed: 0.1 }, 'seed', /is 0\.1, expected an integer/],
    [{ num_beams: 0 }, 'num_beams', /is 0, expected an integer from 1/],
    [
      { num_beams: 34 },
      'num_beams',
      /is 34, but at most 33 sequences run at once; use fewer beams, or load with a larger maxSequences$/,
    ],
    [{ num_beams: 33 }, 'num_beams', /which with 1 ids .* takes 66 candidates .* at most 64/],
    [{ num_beams: 20, eos_token_id: [1, 2, 3] }, 'num_beams', /takes 80 candidates/],
    [{ num_beams: 2, do_sample: true }, 'num_beams', /is 2, and do_sample is true/],
    [{ num_return_sequences: 2 }, 'num_return_sequences', /is 2, expected an integer from 1 to 1/],
    [{ length_penalty: Infinity }, 'length_penalty', /is Infinity/],
    [{ early_stopping: 'always' }, 'early_stopping', /is "always"/],
    [{ repetition_penalty: 0 }, 'repetition_penalty', /is 0, expected a number from 0\.01 to 100/],
    [{ no_repeat_ngram_size: -2 }, 'no_repeat_ngram_size', /is -2/],
    [{ encoder_no_repeat_ngram_size: '3' }, 'encoder_no_repeat_ngram_size', /is "3"/],
    [{ bad_words_ids: [5] }, 'bad_words_ids', /expected a list of lists of token ids/],
    [{ bad_words_ids: Array(1) }, 'bad_words_ids', /expected a list of lists of token ids/],
    [{ suppress_tokens: [-1] }, 'suppress_tokens', /expected a list of token ids/],
    [{ begin_suppress_tokens: 4 }, 'begin_suppress_tokens', /is 4/],
    [{ forced_bos_token_id: 'de' }, 'forced_bos_token_id', /is "de", expected a token id/],
    [{ forced_eos_token_id: 99 }, 'forced_eos_token_id', /is 99/],
    [{ truncate: 'yes' }, 'truncate', /is "yes", expected true or false/],
    [{ num_beam: 4 }, 'num_beam', /num_beam is no option of generate, expected one of: max_new/],
    [{ signal: 4 }, 'signal', /signal is 4/],
    [
      { suppress_tokens: Array.from({ length: 600 }, (_, i) => i % 50) },
      'bad_words_ids',
      /name up to 601 tokens at a time, expected at most 512/,
    ],
  ])('refuses %j', (params, param, message) => {
    const attempt = () => resolve(params);
    expect(attempt).toThrow(RequestError);
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(expect.objectContaining({ param }));
  });

  it.each<[unknown, RegExp]>([
    [undefined, /inputs\[1\] is nothing, expected a text or \{ ids/],
    [[5, 6], /inputs\[1\] is an array/],
    [{}, /inputs\[1\] is an object/],
    [{ ids: 'abc' }, /inputs\[1\] is an object/],
    [{ ids: [] }, /inputs\[1\] has no tokens/],
    [{ ids: [5, 40] }, /inputs\[1\]\[1\] is 40, expected a token id from 0 to 39/],
    [{ ids: [-1] }, /inputs\[1\]\[0\] is -1/],
    [{ ids: Array(13).fill(5) }, /inputs\[1\] has 13 tokens, expected at most 12; set truncate/],
  ])('refuses the input %j', (input, message) => {
    expect(() => resolveJobs([INPUT, input], {}, FACTS)).toThrow(RequestError);
    expect(() => resolveJobs([INPUT, input], {}, FACTS)).toThrow(message);
  });

  it('refuses options that are none, and texts without a tokenizer', () => {
    expect(() => resolve(null as unknown as object)).toThrow(RequestError);
    expect(() => resolveJobs(['text'], {}, FACTS)).toThrow(TokenizerError);
  });
});
