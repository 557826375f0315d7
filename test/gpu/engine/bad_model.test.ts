/** Models that cannot be loaded: each gives its own named error, and the next load works. */
import { afterAll, describe, expect, it } from 'vitest';
import { Engine, type LoadOptions } from '../../../src/index.ts';
import {
  ConfigError,
  DeviceLimitError,
  RequestError,
  TokenizerError,
  WeightFileError,
} from '../../../src/util/errors.ts';
import type { ModelSource } from '../../../src/weights/source.ts';
import { ONE_ADAPTER } from '../../support/adapters.ts';
import { captureDevices } from '../../support/capture_devices.ts';
import { CONFORMANCE, readModelFiles, readModelJson } from '../../support/model_files.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { tinyModel } from '../../support/tiny_model.ts';

const CONFIG = readModelJson(`${CONFORMANCE}/llama`, 'config.json');
const WEIGHTS = readModelFiles(`${CONFORMANCE}/llama`)['model.safetensors'] ?? new Uint8Array();
const SHARDED = readModelFiles(`${CONFORMANCE}/llama-f16-sharded`);
const INDEX = readModelJson(`${CONFORMANCE}/llama-f16-sharded`, 'model.safetensors.index.json');

type Files = Parameters<typeof tinyModel>[0];
const ERRORS = { ConfigError, DeviceLimitError, RequestError, TokenizerError, WeightFileError };
type ErrorName = keyof typeof ERRORS;
type Case = readonly [what: string, changes: Files, error: ErrorName, message: RegExp];

const config = (changes: Readonly<Record<string, unknown>>): Files => ({
  'config.json': JSON.stringify({ ...CONFIG, ...changes }),
});
const rope = (rope_parameters: unknown) => config({ rope_parameters });

const CONFIG_CASES: readonly Case[] = [
  ['no config.json', { 'config.json': undefined }, 'ConfigError', /^config\.json: missing in test/],
  ['config.json is no JSON', { 'config.json': '{"a":' }, 'ConfigError', /^config\.json: /],
  ['config.json is a list', { 'config.json': '[]' }, 'ConfigError', /not a JSON object/],
  ['no model_type', config({ model_type: null }), 'ConfigError', /"model_type" is missing/],
  [
    'an unknown model_type',
    config({ model_type: 'gpt9' }),
    'ConfigError',
    /"gpt9" is not supported.*llama.*mistral/,
  ],
  [
    'a missing key',
    config({ hidden_size: undefined }),
    'ConfigError',
    /^config\.json \(llama\): "hidden_size" is missing, expected a positive integer/,
  ],
  ['zero heads', config({ num_attention_heads: 0 }), 'ConfigError', /"num_attention_heads" is 0/],
  [
    'zero KV heads',
    config({ num_key_value_heads: 0 }),
    'ConfigError',
    /"num_key_value_heads" is 0/,
  ],
  [
    'heads that KV heads do not divide',
    config({ num_key_value_heads: 3 }),
    'ConfigError',
    /"num_key_value_heads" is 3, expected a divisor of 4 heads/,
  ],
  [
    'a width that heads do not divide',
    config({ num_attention_heads: 3, num_key_value_heads: 3, head_dim: null }),
    'ConfigError',
    /"num_attention_heads" is 3, expected a divisor of hidden_size 64/,
  ],
  ['a negative size', config({ hidden_size: -64 }), 'ConfigError', /"hidden_size" is -64/],
  ['a fractional size', config({ num_hidden_layers: 1.5 }), 'ConfigError', /is 1\.5, expected/],
  ['a size as text', config({ vocab_size: '96' }), 'ConfigError', /"vocab_size" is "96"/],
  ['an absurd size', config({ vocab_size: 1e15 }), 'ConfigError', /"vocab_size" is 1000000000000/],
  ['an odd head', config({ head_dim: 15 }), 'ConfigError', /"head_dim" gives 15 rotary/],
  [
    'a negative window',
    config({ model_type: 'mistral', sliding_window: -1 }),
    'ConfigError',
    /"sliding_window" is -1/,
  ],
  ['no epsilon', config({ rms_norm_eps: 0 }), 'ConfigError', /"rms_norm_eps" is 0/],
  [
    'an unknown activation',
    config({ hidden_act: 'x' }),
    'ConfigError',
    /"hidden_act" is "x".*silu/,
  ],
  [
    'an unknown rope type',
    rope({ rope_type: 'magic' }),
    'ConfigError',
    /"rope_parameters\.rope_type" is "magic".*yarn/,
  ],
  [
    'an unknown rope type in the older spelling',
    config({ rope_parameters: null, rope_scaling: { type: 'magic' } }),
    'ConfigError',
    /"rope_scaling\.type" is "magic"/,
  ],
  [
    'a rope factor that is missing',
    rope({ rope_type: 'linear' }),
    'ConfigError',
    /"rope_parameters\.factor" is missing/,
  ],
  [
    'quantized weights',
    config({ quantization_config: { quant_method: 'awq' } }),
    'ConfigError',
    /"quantization_config" names the layout "awq"/,
  ],
  [
    'a generation_config.json that is no JSON',
    { 'generation_config.json': '{' },
    'ConfigError',
    /^generation_config\.json: /,
  ],
];

/** The weights with the same number of other bytes somewhere in the header. */
function headerWith(from: string, to: string): Files {
  const text = Buffer.from(WEIGHTS).toString('latin1');
  expect(text.indexOf(from)).toBeGreaterThan(0);
  return { 'model.safetensors': Buffer.from(text.replace(from, to), 'latin1') };
}

const prefix = (length: bigint): Uint8Array => {
  const bytes = Uint8Array.from(WEIGHTS);
  new DataView(bytes.buffer).setBigUint64(0, length, true);
  return bytes;
};

const weights = (bytes: Uint8Array | string | undefined): Files => ({ 'model.safetensors': bytes });
const sharded = (changes: Files): Files => ({ ...weights(undefined), ...SHARDED, ...changes });

const WEIGHT_CASES: readonly Case[] = [
  [
    'no weights',
    weights(undefined),
    'WeightFileError',
    /found neither, expected model\.safetensors/,
  ],
  [
    'weights in another format',
    { ...weights(undefined), 'pytorch_model.bin': 'PK' },
    'WeightFileError',
    /found only pytorch_model\.bin, expected model\.safetensors/,
  ],
  ['an empty file', weights(''), 'WeightFileError', /^model\.safetensors: /],
  ['something else', weights('<!DOCTYPE html><p>404'), 'WeightFileError', /^model\.safetensors: /],
  [
    'half of a file',
    weights(WEIGHTS.subarray(0, WEIGHTS.length / 2)),
    'WeightFileError',
    /^model\.safetensors: /,
  ],
  ['a header past the end', weights(prefix(2n ** 40n)), 'WeightFileError', /1099511627776/],
  ['a header that is no JSON', weights(prefix(100n)), 'WeightFileError', /^model\.safetensors: /],
  [
    'a missing tensor',
    config({ num_hidden_layers: 3 }),
    'WeightFileError',
    /model\.safetensors: tensor model\.layers\.2\.\S+ is missing, expected \[64\]/,
  ],
  [
    'a tensor of another shape',
    config({ intermediate_size: 97 }),
    'WeightFileError',
    /tensor model\.layers\.0\.mlp\.\S+ has shape \[96, 64\], expected \[97, 64\]/,
  ],
  [
    'an unsupported dtype',
    headerWith('"dtype":"F32"', '"dtype":"I32"'),
    'WeightFileError',
    /tensor \S+ is stored as I32, expected F32, F16 or BF16/,
  ],
  [
    'a missing shard',
    sharded({ 'model-00002-of-00003.safetensors': undefined }),
    'WeightFileError',
    /the shard model-00002-of-00003\.safetensors is missing/,
  ],
  [
    'a tensor that is in no shard',
    sharded({
      'model.safetensors.index.json': JSON.stringify({
        weight_map: { ...Object(INDEX['weight_map']), more: 'model-00001-of-00003.safetensors' },
      }),
    }),
    'WeightFileError',
    /tensor "more" should be in model-00001-of-00003\.safetensors/,
  ],
  [
    'an index that is no JSON',
    sharded({ 'model.safetensors.index.json': 'x' }),
    'WeightFileError',
    /^model\.safetensors\.index\.json: /,
  ],
];

const TOKENIZER_CASES: readonly Case[] = [
  [
    'no tokenizer',
    { 'tokenizer.json': undefined },
    'TokenizerError',
    /^tokenizer\.json: missing in test model/,
  ],
  [
    'a tokenizer that is no JSON',
    { 'tokenizer.json': '{' },
    'TokenizerError',
    /^tokenizer\.json: /,
  ],
  ['a tokenizer without model', { 'tokenizer.json': '{}' }, 'TokenizerError', /^tokenizer\.json: /],
  [
    'a tokenizer of an unknown kind',
    { 'tokenizer.json': '{"model":{"type":"Magic","vocab":{}}}' },
    'TokenizerError',
    /^tokenizer\.json: .*Magic/,
  ],
  [
    'a tokenizer_config.json that is a list',
    { 'tokenizer_config.json': '[]' },
    'TokenizerError',
    /^tokenizer_config\.json: /,
  ],
];

const OPTION_CASES: readonly (readonly [object, ErrorName, RegExp])[] = [
  [{ contextLength: 0 }, 'RequestError', /contextLength is 0, expected an integer from 1/],
  [{ contextLength: 257 }, 'RequestError', /contextLength is 257.*max_position_embeddings 256/],
  [{ kvTokens: -5 }, 'RequestError', /kvTokens is -5/],
  [{ kvTokens: 2 ** 40 }, 'DeviceLimitError', /maxStorageBufferBindingSize.*choose kvTokens ≤/],
  [{ pageSize: 1.5 }, 'RequestError', /pageSize is 1\.5/],
  [{ maxSequences: Number.NaN }, 'RequestError', /maxSequences is NaN/],
  [{ maxInFlight: 0 }, 'RequestError', /maxInFlight is 0/],
  [{ tokenBudget: '64' }, 'RequestError', /tokenBudget is "64"/],
  [{ http: { fetch: 5 } }, 'RequestError', /http\.fetch is 5, expected headers/],
  [{ kvDtype: 'f64' }, 'RequestError', /kvDtype is "f64", expected .*f16/],
];

/** Loading must give this error, of this class, and leave no device behind. */
async function expectError(
  loading: (gpu: GPU) => Promise<Engine>,
  gpu: GPU,
  name: ErrorName,
  message: RegExp,
): Promise<void> {
  const { gpu: capturing, devices } = captureDevices(gpu);
  const error: unknown = await loading(capturing).then(
    () => 'no error',
    (error: unknown) => error,
  );
  expect(error).toMatchObject({ name, message: expect.stringMatching(message) });
  expect(error).toBeInstanceOf(ERRORS[name]);
  await Promise.all(devices.map(({ lost }) => lost));
}

describeOnGpus(
  'loading',
  (gpu) => {
    const load = (source: ModelSource, options: LoadOptions = {}) =>
      Engine.load(source, { gpu: gpu(), selfTest: 'never', contextLength: 64, ...options });

    describe.each([
      ['config.json', CONFIG_CASES],
      ['weights', WEIGHT_CASES],
      ['tokenizer', TOKENIZER_CASES],
    ])('%s', (_, cases) => {
      it.each(cases)('%s', async (_what, changes, name, message) => {
        await expectError((gpu) => load(tinyModel(changes), { gpu }), gpu(), name, message);
      });
    });

    it.each(OPTION_CASES)('options %o', async (options, name, message) => {
      await expectError((gpu) => load(tinyModel(), { gpu, ...options }), gpu(), name, message);
    });

    it.each([[''], ['no such model'], [42], [null], [[1]]])('from %o', async (location) => {
      const options = { gpu: gpu() };
      await expect(Engine.load(location as string, options)).rejects.toThrow(RequestError);
    });

    afterAll(async () => {
      const engine = await load(tinyModel());
      const { choices } = await engine.completions.create({ prompt: 'a', max_tokens: 2 });
      expect(choices[0]?.text).toHaveLength(2);
      await engine.dispose();
    });
  },
  ONE_ADAPTER,
);
