/** What an encoder refuses, and how it says so. */
// oxlint-disable typescript/no-unsafe-type-assertion -- callers without types pass anything
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Encoder, type EncoderInput } from '../../../src/index.ts';
import {
  ConfigError,
  DeviceLimitError,
  RequestError,
  TokenizerError,
} from '../../../src/util/errors.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { tinyEncoder } from '../../support/tiny_encoder.ts';
import { ONE_ADAPTER } from '../../support/adapters.ts';

describeOnGpus(
  'an encoder',
  (gpu) => {
    const load = (fixture: string, changes = {}) =>
      Encoder.load(tinyEncoder(fixture, changes), { gpu: gpu(), selfTest: 'never' });

    describe('of a model with pooler, two token types and 128 positions', () => {
      let encoder: Encoder;
      beforeAll(async () => {
        encoder = await load('bert-base');
      });
      afterAll(() => encoder?.dispose());

      it.each<[unknown, string]>([
        [undefined, 'input is nothing, expected a text, { text, pair } or { ids, typeIds }'],
        [7, 'input is 7, expected a text, { text, pair } or { ids, typeIds }; token ids go into'],
        [[2, 5, 3], 'inputs[0] is 2, expected a text, { text, pair } or { ids, typeIds }; token'],
        [['a', null], 'inputs[1] is null, expected a text'],
        [{}, 'input is an object, expected a text'],
        [{ text: 'a', ids: [5] }, 'input is an object, expected a text'],
        [{ text: 5 }, 'input.text is 5, expected a text'],
        [[{ text: 'a', pair: 5 }], 'inputs[0].pair is 5, expected a text'],
        [{ ids: 'a' }, 'input.ids is "a", expected a list of token ids'],
        [{ ids: [] }, 'input.ids is an empty array, expected a list of token ids'],
        [{ ids: [5, 96] }, 'input: token 1 is 96, expected an integer from 0 to 95'],
        [['a', { ids: [-1] }], 'inputs[1]: token 0 is -1, expected an integer from 0 to 95'],
        [{ ids: [1.5] }, 'input: token 0 is 1.5, expected an integer from 0 to 95'],
        [{ ids: ['5'] }, 'input: token 0 is "5", expected an integer from 0 to 95'],
        [{ ids: [5], typeIds: 0 }, 'input.typeIds is 0, expected a list of token types'],
        [{ ids: [5, 6], typeIds: [0] }, 'input.typeIds.length is 1, expected 2, as there are ids'],
        [
          { ids: [5], typeIds: [2] },
          'input: type of token 0 is 2, expected an integer from 0 to 1',
        ],
        [
          { ids: Array.from({ length: 129 }, () => 5) },
          'input has 129 tokens, expected at most 128; set truncate: true to cut it off',
        ],
        [['a', 'a '.repeat(127)], 'inputs[1] has 129 tokens, expected at most 128; set truncate'],
      ])('refuses an input: %#', async (input, message) => {
        const encoding = encoder.encode(input as EncoderInput);
        await expect(encoding).rejects.toThrow(RequestError);
        await expect(encoding).rejects.toThrow(message);
      });

      it.each<[unknown, string]>([
        [null, 'found null, expected an object'],
        [{ signal: 3 }, 'signal is 3, expected the signal of an AbortController'],
        [{ signal: new EventTarget() }, 'signal is an object, expected the signal of an'],
        [{ pool: 'mean' }, 'pool is no option of encode, expected one of: pooling, normalize'],
        [{ outputs: Array(1) }, 'outputs is an array, expected a list of names of outputs'],
        [{ onProgress: 3 }, 'onProgress is 3, expected a function'],
        [{ pooling: 'max' }, 'pooling is "max", expected "mean", "first" or "pooler"'],
        [{ normalize: 1, pooling: 'mean' }, 'normalize is 1, expected true or false'],
        [{ normalize: true }, 'normalize is true without `pooling`, expected one: "mean"'],
        [{ rows: 'some' }, 'rows is "some", expected "all" or "masked"'],
        [{ truncate: 'yes' }, 'truncate is "yes", expected true or false'],
        [{ maxTokens: 0 }, 'maxTokens is 0, expected an integer from 1 to 128'],
        [{ maxTokens: 129 }, 'maxTokens is 129, expected an integer from 1 to 128'],
        [{ maxTokens: 1, truncate: true }, 'maxTokens is 1, expected at least the 2 special'],
        [{ outputs: 'logits' }, 'outputs is "logits", expected a list of names of outputs'],
        [{ outputs: [3] }, 'outputs is an array, expected a list of names of outputs'],
        [
          { outputs: ['logits'] },
          'outputs asks for "logits", but this BertModel gives only: last_hidden_state, pooler_output; ' +
            'use a checkpoint with the head that gives logits',
        ],
        [
          { outputs: ['hidden'] },
          'but this BertModel gives only: last_hidden_state, pooler_output',
        ],
      ])('refuses the options %j', async (options, message) => {
        const encoding = encoder.encode('a', options as object);
        await expect(encoding).rejects.toThrow(RequestError);
        await expect(encoding).rejects.toThrow(message);
      });

      it('works afterwards, also with null for what is left out', async () => {
        const none = { pooling: null, maxTokens: null, onProgress: null } as object;
        expect((await encoder.encode('a', none)).ids).toHaveLength(3);
        expect(await encoder.tokenize('a', null as unknown as undefined)).toHaveLength(3);
        expect((await encoder.encode('a b')).outputs['last_hidden_state']?.rows).toBe(4);
        const { requests, tuning } = await encoder.stats();
        expect(requests).toEqual({ running: 0, waiting: 0 });
        expect(tuning.status).toBe('skipped');
      });
    });

    it('takes ids without a tokenizer, and says what texts need', async () => {
      const encoder = await load('roberta', { 'tokenizer.json': undefined });
      const { outputs } = await encoder.encode({ ids: [0, 5, 6, 2] });
      expect(Object.values(outputs)[0]?.rows).toBe(4);
      const missing =
        'tokenizer.json: missing in test model, expected the file of a fast tokenizer';
      for (const call of [
        encoder.encode('a'),
        encoder.encode({ ids: [5] }, { rows: 'masked' }),
        encoder.tokenize('a'),
        encoder.detokenize([5]),
      ]) {
        await expect(call).rejects.toThrow(TokenizerError);
        await expect(call).rejects.toThrow(missing);
      }
      // One type: what a tokenizer says of pairs does not count, what a caller says does.
      const typed = encoder.encode({ ids: [5], typeIds: [1] });
      await expect(typed).rejects.toThrow('type of token 0 is 1, expected an integer from 0 to 0');
      await encoder.dispose();
      const paired = await load('roberta');
      const pair = await paired.encode(
        { text: 'a', pair: 'b' },
        { outputs: ['last_hidden_state'] },
      );
      expect(pair.outputs['last_hidden_state']?.rows).toBe(5);
      await expect(paired.encode('a', { pooling: 'pooler' })).rejects.toThrow(
        /^request: pooling is "pooler", but this \w+ has no pooler; choose "mean" or "first"$/,
      );
      await paired.dispose();
    });

    it('refuses what is too large for the device, and that alone', async () => {
      const encoder = await load('t5-encoder');
      expect((await encoder.stats()).model.maxTokens).toBeNull();
      const huge = encoder.encode({ ids: Array.from({ length: 400_000 }, () => 5) });
      const fine = encoder.encode({ ids: [5, 6] });
      await expect(huge).rejects.toThrow(DeviceLimitError);
      await expect(huge).rejects.toThrow('a text of 400000 tokens is too long for this device');
      expect((await fine).outputs['last_hidden_state']?.rows).toBe(2);
      expect((await encoder.encode({ ids: [5, 6, 7] })).ids).toHaveLength(3);
      await encoder.dispose();
    });

    it('says what it does not do of what a repository of sentence-transformers asks for', async () => {
      const modules = [{ type: 'm.Transformer' }, { type: 'm.Pooling', path: '1_Pooling' }];
      const encoder = await load('bert-base', {
        'modules.json': JSON.stringify(modules),
        '1_Pooling/config.json': JSON.stringify({ pooling_mode_max_tokens: true }),
      });
      await expect(encoder.encode('a')).rejects.toThrow(
        'request: 1_Pooling/config.json asks for pooling by max, which is not supported; choose `pooling` or `outputs`',
      );
      expect((await encoder.encode('a', { pooling: 'mean' })).vector).toHaveLength(64);
      await encoder.dispose();
    });

    it.each<[object, Record<string, string>, new (...args: never) => Error, string]>([
      [{ tokenBudget: 0 }, {}, RequestError, 'load: tokenBudget is 0, expected an integer from 1'],
      [{ maxInFlight: 1.5 }, {}, RequestError, 'load: maxInFlight is 1.5, expected an integer'],
      [{ selfTest: 'no' }, {}, RequestError, 'load: selfTest is "no", expected one of: auto,'],
      [{ onProgress: 3 }, {}, RequestError, 'load: onProgress is 3, expected a function'],
      [{}, { 'modules.json': '{}' }, ConfigError, 'modules.json: found an object, expected a list'],
      [{}, { 'tokenizer.json': '[' }, TokenizerError, 'tokenizer.json: is not JSON'],
    ])('does not load with %j and %j', async (options, changes, kind, message) => {
      const loading = Encoder.load(tinyEncoder('bert-base', changes), {
        gpu: gpu(),
        ...options,
      });
      await expect(loading).rejects.toThrow(kind);
      await expect(loading).rejects.toThrow(message);
    });

    it('does not load models of other kinds', async () => {
      const loading = Encoder.load(tinyEncoder('llama'), { gpu: gpu() });
      await expect(loading).rejects.toThrow('use Engine.load');
      await expect(loading).rejects.toThrow(ConfigError);
    });
  },
  ONE_ADAPTER,
);
