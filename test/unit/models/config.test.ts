import { describe, expect, it } from 'vitest';
import { ConfigReader } from '../../../src/models/config.ts';
import { DECODERS } from '../../../src/models/decoders.ts';
import { ENCODER_DECODERS } from '../../../src/models/encoder_decoders.ts';
import { ENCODERS } from '../../../src/models/encoders.ts';
import { familyOf, kindOf, MODEL_TYPES } from '../../../src/models/kinds.ts';
import { ConfigError } from '../../../src/util/errors.ts';

const reader = (json: object): ConfigReader => new ConfigReader({ model_type: 'llama', ...json });

function failureOf(read: () => unknown): ConfigError {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  return expect.fail('nothing was thrown');
}

describe('ConfigReader', () => {
  it.each([null, undefined, 5, 'a', [], [{}]])('refuses %o', (json) => {
    expect(failureOf(() => new ConfigReader(json)).message).toMatch(
      /^config\.json: not a JSON obj/,
    );
  });

  it('reads values, and fallbacks where they are absent or null', () => {
    const json = reader({ size: 3, none: null, text: 'x', flag: true, eps: 1e-6 });
    expect(json.size('size')).toBe(3);
    expect(json.size('none', 4)).toBe(4);
    expect(json.optionalSize('none')).toBeUndefined();
    expect(json.optionalSize('size')).toBe(3);
    expect(json.count('size')).toBe(3);
    expect(json.count('none', 0)).toBe(0);
    expect(json.string('text')).toBe('x');
    expect(json.flag('flag', false)).toBe(true);
    expect(json.flag('absent', true)).toBe(true);
    expect(json.positive('eps')).toBe(1e-6);
    expect(json.object('absent')).toBeUndefined();
  });

  it.each([0, -1, 1.5, '3', true, [], {}, 2 ** 31, Number.NaN])('a size is not %o', (value) => {
    const error = failureOf(() => reader({ size: value }).size('size'));
    expect(error.key).toBe('size');
    expect(error.message).toBe(
      `config.json (llama): "size" is ${JSON.stringify(value)}, expected a positive integer`,
    );
  });

  it('a number of layers is none that would take forever to make', () => {
    expect(reader({ layers: 1024 }).layers('layers')).toBe(1024);
    expect(failureOf(() => reader({ layers: 1025 }).layers('layers')).message).toBe(
      'config.json (llama): "layers" is 1025, expected an integer from 1 to 1024',
    );
  });

  it.each([-1, 0.5, '0', true, 2 ** 31])('a count is not %o', (value) => {
    const error = failureOf(() => reader({ id: value }).count('id'));
    expect(error.message).toMatch(/"id" is .*, expected an integer of 0 or more/);
  });

  it.each([0, -1, '1', Infinity])('a positive number is not %o', (value) => {
    const error = failureOf(() => reader({ eps: value }).positive('eps'));
    expect(error.message).toMatch(/"eps" is .*, expected a positive number/);
  });

  it('names what is missing or of another kind', () => {
    const json = reader({ object: [], flag: 1, text: 2 });
    expect(failureOf(() => json.size('size')).message).toMatch(/"size" is missing, expected/);
    expect(failureOf(() => json.object('object')).message).toMatch(/"object" is \[\], expected an/);
    expect(failureOf(() => json.flag('flag', true)).message).toMatch(/"flag" is 1, expected true/);
    expect(failureOf(() => json.string('text')).message).toMatch(/"text" is 2, expected a string/);
  });

  it('refuses weights in a quantized layout', () => {
    const config = { quantization_config: { quant_method: 'gptq' } };
    const error = failureOf(() => reader(config));
    expect(error.key).toBe('quantization_config');
    expect(error.message).toMatch(/names the layout "gptq".*original repository/);
  });

  it('shares the width out over the heads, unless head_dim says otherwise', () => {
    const heads = { num_attention_heads: 8, num_key_value_heads: 2 };
    expect(reader(heads).attentionHeads(64)).toEqual({ heads: 8, kvHeads: 2, headDim: 8 });
    expect(reader({ ...heads, head_dim: 24 }).attentionHeads(60)).toMatchObject({ headDim: 24 });
    expect(reader({ num_attention_heads: 4 }).attentionHeads(64)).toMatchObject({ kvHeads: 4 });
    expect(failureOf(() => reader(heads).attentionHeads(60)).message).toMatch(
      /"num_attention_heads" is 8, expected a divisor of hidden_size 60/,
    );
    const uneven = reader({ num_attention_heads: 8, num_key_value_heads: 16 });
    expect(failureOf(() => uneven.attentionHeads(64)).key).toBe('num_key_value_heads');
  });

  it('shares the width out over the heads of an encoder, whatever head_dim says', () => {
    const json = reader({ heads: 4, head_dim: 24 });
    expect(json.equalHeads('heads', 64, 'd')).toEqual({ heads: 4, kvHeads: 4, headDim: 16 });
    expect(failureOf(() => json.equalHeads('heads', 66, 'd')).message).toMatch(
      /"heads" is 4, expected a divisor of d 66/,
    );
  });

  it('knows activations by the names of Transformers', () => {
    const activation = (hidden_act?: string) =>
      reader({ hidden_act }).activation('hidden_act', 'silu');
    expect(activation()).toBe('silu');
    expect(activation('swish')).toBe('silu');
    expect(activation('gelu')).toBe('gelu');
    expect(activation('gelu_python')).toBe('gelu');
    expect(activation('gelu_accurate')).toBe('gelu_tanh');
    expect(activation('gelu_pytorch_tanh')).toBe('gelu_tanh');
    expect(activation('tanh')).toBe('tanh');
    expect(failureOf(() => activation('mish')).message).toMatch(/is "mish", expected one of: silu/);
    expect(failureOf(() => activation('toString')).key).toBe('hidden_act');
  });
});

describe('rope', () => {
  const older = (rope_scaling: object | null, more: object = {}) =>
    reader({ rope_theta: 500, max_position_embeddings: 64, rope_scaling, ...more }).rope(16);
  const newer = (rope_parameters: object, more: object = {}) =>
    reader({ max_position_embeddings: 64, rope_parameters, ...more }).rope(16);

  it('is the same in both spellings', () => {
    const plain = { theta: 500, rotaryDim: 16, scaling: { type: 'default' } };
    expect(older(null)).toEqual(plain);
    expect(newer({ rope_theta: 500, rope_type: 'default' })).toEqual(plain);
    // The newer spelling also occurs with theta outside.
    expect(newer({ rope_type: 'default' }, { rope_theta: 500 })).toEqual(plain);
    expect(reader({}).rope(16)).toEqual({ ...plain, theta: 10000 });

    const scaling = { type: 'linear', factor: 4 };
    for (const json of [scaling, { rope_type: 'linear', factor: 4 }]) {
      expect(older(json)).toEqual({ ...plain, scaling });
      expect(newer({ rope_theta: 500, ...json })).toEqual({ ...plain, scaling });
    }
  });

  it('rotates a part of each head where that is asked for', () => {
    expect(older(null, { partial_rotary_factor: 0.5 }).rotaryDim).toBe(8);
    for (const partial_rotary_factor of [0.01, 0.45, 2]) {
      expect(() => older(null, { partial_rotary_factor })).toThrow(/expected an even number/);
    }
  });

  it('reads every kind of scaling', () => {
    expect(older({ type: 'dynamic', factor: 2 }).scaling).toEqual({
      type: 'dynamic',
      factor: 2,
      maxPositions: 64,
    });
    const llama3 = {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 32,
    };
    expect(older(llama3).scaling).toEqual({
      type: 'llama3',
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalPositions: 32,
    });
    const yarn = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 32 };
    expect(older(yarn).scaling).toEqual({
      type: 'yarn',
      factor: 4,
      originalPositions: 32,
      betaFast: 32,
      betaSlow: 1,
      truncate: true,
      attentionFactor: 0.1 * Math.log(4) + 1,
    });
  });

  it('finds what yarn leaves unsaid', () => {
    const yarn = (more: object) => older({ rope_type: 'yarn', factor: 40, ...more }).scaling;
    expect(yarn({ attention_factor: 0.5 })).toMatchObject({ attentionFactor: 0.5 });
    // DeepSeek: the ratio of two amplitudes.
    const { attentionFactor } = {
      attentionFactor: 0,
      ...yarn({ mscale: 0.8, mscale_all_dim: 1.2 }),
    };
    expect(attentionFactor).toBeCloseTo(0.897720452429, 10);
    expect(yarn({ factor: 0.5 })).toMatchObject({ attentionFactor: 1 });
    const bare = { rope_type: 'yarn', original_max_position_embeddings: 16 };
    expect(older(bare).scaling).toMatchObject({ factor: 4, originalPositions: 16 });
  });

  it.each([
    [{ type: 'magic' }, 'type', /"rope_scaling\.type" is "magic", expected one of: default/],
    [{ rope_type: 5 }, 'rope_type', /"rope_scaling\.rope_type" is 5, expected a string/],
    [{ type: 'linear' }, 'factor', /"rope_scaling\.factor" is missing/],
    [{ type: 'dynamic', factor: -1 }, 'factor', /"rope_scaling\.factor" is -1/],
    [
      { type: 'llama3', factor: 8 },
      'low_freq_factor',
      /"rope_scaling\.low_freq_factor" is missing/,
    ],
    [{ type: 'yarn', factor: 4, truncate: 1 }, 'truncate', /"rope_scaling\.truncate" is 1/],
  ])('refuses %o', (json, key, message) => {
    const error = failureOf(() => older(json));
    expect(error.key).toBe(key);
    expect(error.message).toMatch(message);
  });

  it('reads the rotation of one type of layers', () => {
    const of = (layerType: string, json: object) =>
      reader({ max_position_embeddings: 64, ...json }).rope(8, {
        layerType,
        thetaKey: `${layerType}_theta`,
        theta: 77,
      });
    const nested = {
      far: { rope_type: 'linear', factor: 2, rope_theta: 500 },
      near: { rope_type: 'default' },
    };
    expect(of('far', { rope_parameters: nested })).toEqual({
      theta: 500,
      rotaryDim: 8,
      scaling: { type: 'linear', factor: 2 },
    });
    const near = { theta: 77, rotaryDim: 8, scaling: { type: 'default' } };
    expect(of('near', { rope_parameters: nested })).toEqual(near);
    expect(of('near', { rope_theta: 1 })).toEqual(near);
    expect(of('near', { near_theta: 5 }).theta).toBe(5);
    expect(of('near', { rope_parameters: { rope_theta: 6 } }).theta).toBe(6);
    const wrong = { rope_parameters: { far: { rope_theta: -1 } } };
    expect(failureOf(() => of('far', wrong)).message).toMatch(
      /"rope_parameters\.far\.rope_theta" is -1/,
    );
  });

  it('refuses an odd head', () => {
    expect(failureOf(() => reader({ head_dim: 15 }).rope(15)).key).toBe('head_dim');
  });
});

describe('familyOf', () => {
  it('finds the family, or lists those there are', () => {
    expect(familyOf(reader({ model_type: 'llama' }), DECODERS)).toBe(
      familyOf(reader({ model_type: 'mistral' }), DECODERS),
    );
    const error = failureOf(() => familyOf(reader({ model_type: 'mamba' }), DECODERS));
    expect(error.key).toBe('model_type');
    expect(error.message).toMatch(/model_type "mamba" is not supported.*llama, mistral.*bert.*t5/);
    expect(failureOf(() => familyOf(new ConfigReader({}), DECODERS)).message).toMatch(
      /"model_type" is missing/,
    );
  });

  it('says how a model of another kind is loaded', () => {
    const messageOf = (
      modelType: string,
      families: typeof DECODERS | typeof ENCODERS | typeof ENCODER_DECODERS,
    ) => failureOf(() => familyOf(reader({ model_type: modelType }), families)).message;
    expect(messageOf('bert', DECODERS)).toMatch(/"bert" is not for Engine.load, use Encoder.load/);
    expect(messageOf('llama', ENCODER_DECODERS)).toMatch(/not for Seq2Seq.load, use Engine.load/);
    expect(messageOf('bart', DECODERS)).toMatch(/not for Engine.load, use Seq2Seq.load/);
    expect(messageOf('t5', DECODERS)).toMatch(/not for Engine.load, use Seq2Seq.load/);
  });
});

describe('kindOf', () => {
  it('knows the models of all families', () => {
    for (const { kind, families } of [DECODERS, ENCODERS, ENCODER_DECODERS]) {
      const all = families.flatMap(({ modelTypes }) => modelTypes);
      expect(all.toSorted()).toEqual(MODEL_TYPES[kind].toSorted());
    }
  });

  it('tells by the model, and by the class where a checkpoint may hold half of it', () => {
    const kind = (model_type: string, ...architectures: string[]) =>
      kindOf(reader({ model_type, ...(architectures.length > 0 && { architectures }) }));
    expect(kind('llama')).toBe('decoder');
    expect(kind('roberta', 'RobertaModel')).toBe('encoder');
    expect(kind('t5')).toBe('seq2seq');
    expect(kind('t5', 'T5ForConditionalGeneration')).toBe('seq2seq');
    expect(kind('t5', 'T5EncoderModel')).toBe('encoder');
    expect(failureOf(() => kind('mamba')).key).toBe('model_type');
    expect(failureOf(() => kindOf(reader({ model_type: 't5', architectures: [5] }))).key).toBe(
      'architectures',
    );
  });
});
