import { describe, expect, it } from 'vitest';
import { bart } from '../../../src/models/bart.ts';
import { ConfigReader } from '../../../src/models/config.ts';
import { ConfigError } from '../../../src/util/errors.ts';
import { fakeWeights } from '../../support/fake_weights.ts';

const CONFIG = {
  model_type: 'bart',
  d_model: 12,
  vocab_size: 31,
  max_position_embeddings: 40,
  encoder_layers: 1,
  encoder_attention_heads: 2,
  encoder_ffn_dim: 20,
  decoder_layers: 2,
  decoder_attention_heads: 3,
  decoder_ffn_dim: 24,
};

/** A checkpoint with one shared table, and no table that can be computed. */
const PLAIN = (name: string): boolean => !/embed_tokens|lm_head|embed_positions/.test(name);

function load(changes: object = {}, has = PLAIN) {
  const { weights, asked } = fakeWeights(has);
  return { model: bart.load(new ConfigReader({ ...CONFIG, ...changes }), weights), asked };
}

const linear = (path: string, outDim: number, inDim: number): readonly string[] => [
  `${path}.weight [${outDim}, ${inDim}]`,
  `${path}.bias [${outDim}]`,
];
const norm = (path: string): readonly string[] => [`${path}.weight [12]`, `${path}.bias [12]`];
const attention = (path: string): readonly string[] =>
  ['q_proj', 'k_proj', 'v_proj', 'out_proj'].flatMap((name) => linear(`${path}.${name}`, 12, 12));
const layer = (path: string, hiddenDim: number): readonly string[] => [
  ...attention(`${path}.self_attn`),
  ...norm(`${path}.self_attn_layer_norm`),
  ...linear(`${path}.fc1`, hiddenDim, 12),
  ...linear(`${path}.fc2`, 12, hiddenDim),
  ...norm(`${path}.final_layer_norm`),
];
const BLOCKS = [
  ...layer('model.encoder.layers.0', 20),
  ...[0, 1].flatMap((i) => [
    ...layer(`model.decoder.layers.${i}`, 24),
    ...attention(`model.decoder.layers.${i}.encoder_attn`),
    ...norm(`model.decoder.layers.${i}.encoder_attn_layer_norm`),
  ]),
];
const both = (part: (side: string) => readonly string[]): readonly string[] => [
  ...part('model.encoder'),
  ...part('model.decoder'),
];
const learned = both((side) => [`${side}.embed_positions.weight [42, 12]`]);
const embeddingNorms = both((side) => norm(`${side}.layernorm_embedding`));
const lastNorms = both((side) => norm(`${side}.layer_norm`));

describe('bart', () => {
  it.each([
    ['bart', [...learned, ...embeddingNorms]],
    ['mbart', [...learned, ...embeddingNorms, ...lastNorms]],
    ['pegasus', lastNorms],
    ['marian', []],
    ['m2m_100', lastNorms],
  ])('asks for the tensors of a %s checkpoint, each once and with its shape', (type, own) => {
    const all = ['model.shared.weight [31, 12]', 'final_logits_bias [31]', ...BLOCKS, ...own];
    expect(load({ model_type: type }).asked.toSorted()).toEqual(all.toSorted());
  });

  it('says what its caches are and how long its sequences may be', () => {
    const { encoder, decoder } = load().model;
    expect(encoder).toMatchObject({ vocab: 31, dim: 12, maxPositions: 40, tokenTypes: 0 });
    expect(encoder.kv).toMatchObject({ layers: 1, heads: 2, kvHeads: 2, headDim: 6 });
    expect(decoder.kv).toMatchObject({ layers: 2, heads: 3, kvHeads: 3, headDim: 4 });
    expect([encoder.uncountedId, decoder.uncountedId]).toEqual([undefined, undefined]);
    const m2m = load({ model_type: 'm2m_100', pad_token_id: 0 }).model;
    expect([m2m.encoder.uncountedId, m2m.decoder.uncountedId]).toEqual([0, 0]);
  });

  it('takes sinusoidal positions from the file where it has them', () => {
    const has = (name: string) => PLAIN(name) || name.includes('embed_positions');
    const asked = (type: string) =>
      load({ model_type: type }, has).asked.filter((name) => name.includes('positions'));
    const stored = both((side) => [`${side}.embed_positions.weight [40, 12]`]);
    expect(asked('pegasus')).toEqual(stored);
    expect(asked('marian')).toEqual(stored);
    expect(asked('m2m_100')).toEqual([]); // what old files hold under this name has no use
  });

  it('takes two vocabularies where the sides share none', () => {
    const split = { model_type: 'marian', share_encoder_decoder_embeddings: false };
    const has = (name: string) => PLAIN(name) || name.includes('embed_tokens');
    const { model, asked } = load({ ...split, decoder_vocab_size: 17 }, has);
    expect(asked.filter((name) => /shared|embed_tokens|lm_head|logits/.test(name))).toEqual([
      'model.encoder.embed_tokens.weight [31, 12]',
      'final_logits_bias [17]',
      'model.decoder.embed_tokens.weight [17, 12]',
    ]);
    expect([model.encoder.vocab, model.decoder.vocab]).toEqual([31, 17]);
  });

  it('has a head of its own where the file has one, and no bias where it has none', () => {
    const has = (name: string) => PLAIN(name) || name === 'lm_head.weight';
    const heads = (changes: object) =>
      load(changes, has).asked.filter((name) => /lm_head|shared/.test(name));
    const untied = ['model.shared.weight [31, 12]', 'lm_head.weight [31, 12]'];
    expect(heads({ tie_word_embeddings: false })).toEqual(untied);
    expect(heads({})).toEqual(untied);
    const { asked } = load({}, (name) => PLAIN(name) && name !== 'final_logits_bias');
    expect(asked).not.toContain('final_logits_bias [31]');
  });

  it('finds the weights of a checkpoint without a head at its root', () => {
    const { asked } = load({}, (name) => PLAIN(name) && !name.startsWith('model.'));
    const bare = ['model.shared.weight [31, 12]', ...BLOCKS, ...learned, ...embeddingNorms];
    const expected = [...bare.map((name) => name.replace('model.', '')), 'final_logits_bias [31]'];
    expect(asked.toSorted()).toEqual(expected.toSorted());
  });

  it('says so where a checkpoint has no head', () => {
    expect(() => load({ architectures: ['BartModel'] })).toThrow(
      /"architectures" is "BartModel", which has no language-model head \(lm_head\), expected one of: BartFor/,
    );
    expect(() => load({ tie_word_embeddings: false })).toThrow(/lm_head\.weight is missing/);
    expect(() => load({ architectures: ['BartForQuestionAnswering'] })).toThrow(ConfigError);
    expect(() => load({ architectures: ['MarianMTModel'] })).not.toThrow();
  });

  it.each([
    ['d_model', undefined, /"d_model" is missing/],
    ['encoder_attention_heads', 5, /is 5, expected a divisor of d_model 12/],
    ['decoder_layers', -1, /"decoder_layers" is -1, expected an integer from 1 to 1024/],
    ['encoder_layers', 2e9, /"encoder_layers" is 2000000000, expected an integer from 1 to 1024/],
    ['max_position_embeddings', 2e9, /is 2000000000, expected an integer from 1 to 65536/],
    ['activation_function', 'mish', /"activation_function" is "mish", expected one of/],
    ['scale_embedding', 'yes', /"scale_embedding" is "yes", expected true or false/],
  ])('refuses %s of %s', (key, value, message) => {
    expect(() => load({ [key]: value })).toThrow(ConfigError);
    expect(() => load({ [key]: value })).toThrow(message);
  });
});
