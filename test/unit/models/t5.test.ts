import { describe, expect, it } from 'vitest';
import { ConfigReader } from '../../../src/models/config.ts';
import { t5, t5Encoder } from '../../../src/models/t5.ts';
import { ConfigError } from '../../../src/util/errors.ts';
import { fakeWeights } from '../../support/fake_weights.ts';

const CONFIG = {
  model_type: 't5',
  d_model: 12,
  d_kv: 5,
  d_ff: 20,
  num_heads: 3,
  num_layers: 1,
  num_decoder_layers: 2,
  vocab_size: 31,
};

/** A checkpoint with one shared table and no experts. */
const PLAIN = (name: string): boolean => !/embed_tokens|lm_head|router/.test(name);

function load(changes: object = {}, has = PLAIN) {
  const { weights, asked } = fakeWeights(has);
  return { model: t5.load(new ConfigReader({ ...CONFIG, ...changes }), weights), asked };
}

function loadEncoder(changes: object = {}, has = PLAIN) {
  const { weights, asked } = fakeWeights(has);
  return { encoder: t5Encoder.load(new ConfigReader({ ...CONFIG, ...changes }), weights), asked };
}

const selfAttention = (path: string, hasBias: boolean): readonly string[] => [
  `${path}.SelfAttention.q.weight [15, 12]`,
  `${path}.SelfAttention.k.weight [15, 12]`,
  `${path}.SelfAttention.v.weight [15, 12]`,
  `${path}.SelfAttention.o.weight [12, 15]`,
  ...(hasBias ? [`${path}.SelfAttention.relative_attention_bias.weight [32, 3]`] : []),
  `${path}.layer_norm.weight [12]`,
];
const feedForward = (path: string): readonly string[] => [
  `${path}.DenseReluDense.wi.weight [20, 12]`,
  `${path}.DenseReluDense.wo.weight [12, 20]`,
  `${path}.layer_norm.weight [12]`,
];
const ENCODER = [
  'shared.weight [31, 12]',
  ...selfAttention('encoder.block.0.layer.0', true),
  ...feedForward('encoder.block.0.layer.1'),
  'encoder.final_layer_norm.weight [12]',
];

describe('t5', () => {
  it('asks for the tensors of the checkpoint, each once and with its shape', () => {
    const layer = (i: number) => [
      ...selfAttention(`decoder.block.${i}.layer.0`, i === 0),
      `decoder.block.${i}.layer.1.layer_norm.weight [12]`,
      `decoder.block.${i}.layer.1.EncDecAttention.q.weight [15, 12]`,
      `decoder.block.${i}.layer.1.EncDecAttention.o.weight [12, 15]`,
      `decoder.block.${i}.layer.1.EncDecAttention.k.weight [15, 12]`,
      `decoder.block.${i}.layer.1.EncDecAttention.v.weight [15, 12]`,
      ...feedForward(`decoder.block.${i}.layer.2`),
    ];
    const all = [...ENCODER, ...layer(0), ...layer(1), 'decoder.final_layer_norm.weight [12]'];
    expect(load().asked.toSorted()).toEqual(all.toSorted());
  });

  it('says what its caches are, and that sequences have no longest', () => {
    const { encoder, decoder } = load().model;
    expect(encoder).toMatchObject({ vocab: 31, dim: 12, maxPositions: Infinity, tokenTypes: 0 });
    expect(encoder.kv).toMatchObject({ layers: 1, heads: 3, kvHeads: 3, headDim: 5 });
    expect(decoder.kv).toMatchObject({ layers: 2, heads: 3, kvHeads: 3, headDim: 5 });
    expect(decoder.maxPositions).toBe(Infinity);
    expect(Object.keys(encoder.outputs)).toEqual(['last_hidden_state']);
    expect(load({ num_decoder_layers: null }).model.decoder.kv.layers).toBe(1);
  });

  it('has a bias in every layer of UMT5', () => {
    const { asked } = load({ model_type: 'umt5' });
    const layers = asked.filter((name) => name.includes('relative_attention_bias'));
    expect(layers.map((name) => name.split('.layer.')[0])).toEqual([
      'encoder.block.0',
      'decoder.block.0',
      'decoder.block.1',
    ]);
  });

  it('gates the feed-forward where the configuration says so', () => {
    const gates = (changes: object) =>
      load(changes).asked.filter((name) => name.includes('wi_1')).length;
    expect(gates({})).toBe(0);
    expect(gates({ feed_forward_proj: 'gated-gelu' })).toBe(3);
    expect(gates({ feed_forward_proj: 'gated-silu', is_gated_act: null })).toBe(3);
    expect(gates({ is_gated_act: true, dense_act_fn: 'gelu_new' })).toBe(3);
    expect(gates({ model_type: 'mt5' })).toBe(3);
    expect(gates({ model_type: 'umt5', feed_forward_proj: 'relu' })).toBe(0);
  });

  it('finds shared tables under any of their names', () => {
    const tables = (names: readonly string[], changes: object = {}) => {
      const has = (name: string) => PLAIN(name) && name !== 'shared.weight';
      const { asked } = load(changes, (name) => has(name) || names.includes(name));
      return asked.filter((name) => /shared|embed_tokens|lm_head/.test(name));
    };
    for (const name of ['shared', 'decoder.embed_tokens', 'encoder.embed_tokens', 'lm_head']) {
      expect(tables([`${name}.weight`])).toEqual([`${name}.weight [31, 12]`]);
    }
    const untied = { tie_word_embeddings: false };
    const both = ['shared.weight', 'lm_head.weight'];
    expect(tables(both, untied)).toEqual(['shared.weight [31, 12]', 'lm_head.weight [31, 12]']);
    expect(tables(['encoder.embed_tokens.weight', 'decoder.embed_tokens.weight'])).toHaveLength(2);
    expect(tables([])).toEqual(['shared.weight [31, 12]']); // the store says that it is missing
  });

  it('says so where a checkpoint has no head', () => {
    expect(() => load({ architectures: ['T5Model'] })).toThrow(
      /"architectures" is "T5Model", which has no language-model head \(lm_head\), expected one of: T5For/,
    );
    expect(() => load({ architectures: ['UMT5EncoderModel'] })).toThrow(/has no decoder/);
    expect(() => load({ tie_word_embeddings: false })).toThrow(/lm_head\.weight is missing/);
    expect(() => load({ architectures: ['T5ForQuestionAnswering'] })).toThrow(ConfigError);
    expect(() => load({ architectures: ['T5WithLMHeadModel'] })).not.toThrow();
  });

  it.each([
    ['d_model', undefined, /"d_model" is missing/],
    ['d_kv', 0, /"d_kv" is 0, expected a positive integer/],
    ['num_heads', '3', /"num_heads" is "3"/],
    ['feed_forward_proj', 'gated-gelu-new', /"feed_forward_proj" is "gated-gelu-new"/],
    ['feed_forward_proj', 'gated-mish', /"mish", expected one of: silu/],
    ['relative_attention_num_buckets', 3, /is 3, expected at least 4/],
    ['relative_attention_max_distance', 16, /is 16, expected more than 16 .* for 32 buckets/],
    ['relative_attention_max_distance', 2 ** 31 - 1, /expected .* at most 65536/],
  ])('refuses %s of %s', (key, value, message) => {
    expect(() => load({ [key]: value })).toThrow(ConfigError);
    expect(() => load({ [key]: value })).toThrow(message);
  });
});

describe('switch_transformers', () => {
  const config = { model_type: 'switch_transformers', num_experts: 2, dense_act_fn: 'relu' };
  /** The second layer of the decoder is sparse. */
  const has = (name: string) =>
    PLAIN(name) || name.startsWith('decoder.block.1.layer.2.mlp.router');

  it('has experts where the checkpoint has a router', () => {
    const feeds = load(config, has).asked.filter((name) => name.includes('mlp'));
    const sparse = 'decoder.block.1.layer.2.mlp';
    expect(feeds.toSorted()).toEqual([
      'decoder.block.0.layer.2.mlp.wi.weight [20, 12]',
      'decoder.block.0.layer.2.mlp.wo.weight [12, 20]',
      `${sparse}.experts.expert_0.wi.weight [20, 12]`,
      `${sparse}.experts.expert_0.wo.weight [12, 20]`,
      `${sparse}.experts.expert_1.wi.weight [20, 12]`,
      `${sparse}.experts.expert_1.wo.weight [12, 20]`,
      `${sparse}.router.classifier.weight [2, 12]`,
      'encoder.block.0.layer.1.mlp.wi.weight [20, 12]',
      'encoder.block.0.layer.1.mlp.wo.weight [12, 20]',
    ]);
    expect(load({ ...config, router_bias: true }, has).asked).toContain(
      `${sparse}.router.classifier.bias [2]`,
    );
  });
});

describe('t5Encoder', () => {
  it('asks for the encoder alone, also of a whole checkpoint', () => {
    expect(loadEncoder().asked.toSorted()).toEqual(ENCODER.toSorted());
    const untied = { architectures: ['T5ForConditionalGeneration'], tie_word_embeddings: false };
    expect(loadEncoder(untied, (name) => PLAIN(name) || name.includes('lm_head')).asked).toEqual(
      loadEncoder().asked,
    );
  });

  it('refuses the classes that have other parts', () => {
    expect(() => loadEncoder({ architectures: ['T5EncoderModel'] })).not.toThrow();
    expect(() => loadEncoder({ architectures: ['T5ForTokenClassification'] })).toThrow(
      /"architectures" is "T5ForTokenClassification", expected one of: T5EncoderModel, /,
    );
  });
});
