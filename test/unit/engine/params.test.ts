import { describe, expect, it } from 'vitest';
import type { GenerationParams } from '../../../src/engine/openai.ts';
import type { GenerationDefaults } from '../../../src/engine/model.ts';
import { checkTokenIds, resolveParams, seedOf } from '../../../src/engine/params.ts';
import { RequestError } from '../../../src/util/errors.ts';

const DEFAULTS: GenerationDefaults = {
  temperature: 0.7,
  topK: 50,
  topP: 0.9,
  minP: 0.05,
  repetitionPenalty: 1.1,
  maxTokens: 256,
  eosIds: new Set([2]),
};
const VOCAB = 96;

const resolve = (params: GenerationParams & { readonly top?: unknown } = {}, defaults = DEFAULTS) =>
  resolveParams(
    params,
    {
      maxTokens: { param: 'max_tokens', value: params.max_tokens },
      topLogprobs: { param: 'top_logprobs', value: params.top },
    },
    defaults,
    VOCAB,
  );

describe('resolveParams', () => {
  it('takes the defaults of the repository for what is absent or null', () => {
    const want = {
      n: 1,
      maxTokens: 256,
      stopStrings: [],
      stopIds: new Set([2]),
      overflow: 'error',
      includeUsage: false,
      sampling: {
        temperature: 0.7,
        topK: 50,
        topP: 0.9,
        minP: 0.05,
        repetitionPenalty: 1.1,
        frequencyPenalty: 0,
        presencePenalty: 0,
        logitBias: new Map(),
        topLogprobs: undefined,
      },
    };
    expect(resolve()).toMatchObject(want);
    const nothing = {
      temperature: null,
      top_p: null,
      max_tokens: null,
      stop: null,
      logit_bias: null,
    };
    expect(resolve({ ...nothing, stream_options: null, seed: null })).toMatchObject(want);
    expect(resolve({}, { ...DEFAULTS, maxTokens: undefined }).maxTokens).toBeUndefined();
  });

  it('takes what the request says', () => {
    const resolved = resolve({
      n: 3,
      max_tokens: 5,
      temperature: 0,
      top_p: 1,
      top_k: 0,
      min_p: 0,
      repetition_penalty: 1,
      frequency_penalty: -2,
      presence_penalty: 2,
      logit_bias: { 5: -100, 95: 100 },
      seed: -7,
      stop: 'x',
      stop_token_ids: [4],
      context_overflow: 'truncate',
      stream_options: { include_usage: true },
      top: 4,
    });
    expect(resolved).toEqual({
      n: 3,
      maxTokens: 5,
      stopIds: new Set([2, 4]),
      stopStrings: ['x'],
      seed: -7,
      overflow: 'truncate',
      includeUsage: true,
      sampling: {
        temperature: 0,
        topK: 0,
        topP: 1,
        minP: 0,
        repetitionPenalty: 1,
        frequencyPenalty: -2,
        presencePenalty: 2,
        logitBias: new Map([
          [5, -100],
          [95, 100],
        ]),
        topLogprobs: 4,
      },
    });
  });

  it('stops at the ids it is given only, where the model is to go on', () => {
    expect(resolve({ ignore_eos: true }).stopIds).toEqual(new Set());
    expect(resolve({ ignore_eos: true, stop_token_ids: [7] }).stopIds).toEqual(new Set([7]));
    expect(resolve({ stop: ['a', 'bc'] }).stopStrings).toEqual(['a', 'bc']);
  });

  it('makes up a seed, another one each time', () => {
    const seeds = Array.from({ length: 20 }, () => resolve().seed);
    expect(new Set(seeds).size).toBe(20);
    for (const seed of seeds) expect(Number.isSafeInteger(seed)).toBe(true);
  });

  it('refuses more biases than there is room for', () => {
    const bias = Object.fromEntries(Array.from({ length: 513 }, (_, i) => [i, 1]));
    const spelling = { param: '', value: undefined };
    const both = { maxTokens: spelling, topLogprobs: spelling };
    expect(() => resolveParams({ logit_bias: bias }, both, DEFAULTS, 1000)).toThrow(
      /logit_bias has 513 tokens, expected at most 512/,
    );
  });
});

describe('seedOf', () => {
  it('gives the seed itself to the first reply, and other seeds to the others', () => {
    expect(seedOf(5, 0)).toEqual([5, 0]);
    expect(seedOf(3 * 2 ** 32 + 9, 0)).toEqual([9, 3]);
    expect(seedOf(-1, 0)).toEqual([2 ** 32 - 1, 2 ** 32 - 1]);
    const seeds = Array.from({ length: 128 }, (_, choice) => String(seedOf(5, choice)));
    expect(new Set(seeds).size).toBe(128);
  });

  it('gives words that are unsigned 32-bit integers', () => {
    for (const seed of [0, -(2 ** 53) + 1, 2 ** 53 - 1, -(2 ** 32)]) {
      for (const word of seedOf(seed, 3)) expect(word).toBe(word >>> 0);
    }
  });
});

describe('checkTokenIds', () => {
  it('names the first id that is no token', () => {
    expect(() => checkTokenIds('prompt', [0, 95], VOCAB)).not.toThrow();
    for (const bad of [96, -1, 0.5, Number.NaN, '3', null]) {
      expect(() => checkTokenIds('prompt', [1, bad], VOCAB)).toThrow(RequestError);
      expect(() => checkTokenIds('prompt', [1, bad], VOCAB)).toThrow(/^request: prompt\[1\] is /);
    }
  });
});
