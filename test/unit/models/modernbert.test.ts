import { describe, expect, it } from 'vitest';
import { ConfigReader } from '../../../src/models/config.ts';
import { modernbert } from '../../../src/models/modernbert.ts';
import { fakeWeights } from '../../support/fake_weights.ts';

const CONFIG = {
  model_type: 'modernbert',
  hidden_size: 12,
  intermediate_size: 20,
  num_attention_heads: 3,
  num_hidden_layers: 2,
  vocab_size: 31,
};

function load(changes: object = {}) {
  const { weights, asked } = fakeWeights();
  return { model: modernbert.load(new ConfigReader({ ...CONFIG, ...changes }), weights), asked };
}

describe('modernbert', () => {
  it('asks for the tensors of the checkpoint, each once and with its shape', () => {
    const layer = (i: number) => [
      ...(i === 0 ? [] : [`model.layers.${i}.attn_norm.weight [12]`]),
      `model.layers.${i}.attn.Wqkv.weight [36, 12]`,
      `model.layers.${i}.attn.Wo.weight [12, 12]`,
      `model.layers.${i}.mlp_norm.weight [12]`,
      `model.layers.${i}.mlp.Wi.weight [40, 12]`,
      `model.layers.${i}.mlp.Wo.weight [12, 20]`,
    ];
    expect([...load({ architectures: ['ModernBertForMaskedLM'] }).asked].sort()).toEqual(
      [
        'model.embeddings.tok_embeddings.weight [31, 12]',
        'model.embeddings.norm.weight [12]',
        ...layer(0),
        ...layer(1),
        'model.final_norm.weight [12]',
        'head.dense.weight [12, 12]',
        'head.norm.weight [12]',
        'decoder.bias [31]',
      ].sort(),
    );
  });

  it('asks for the biases that the configuration names', () => {
    const flags = { norm_bias: true, attention_bias: true, mlp_bias: true, classifier_bias: true };
    const { asked } = load({
      ...flags,
      decoder_bias: false,
      architectures: ['ModernBertForMaskedLM'],
    });
    const biases = asked.filter((name) => name.includes('.bias'));
    expect(biases).toHaveLength(1 + 5 + 6 + 1 + 2); // embedding norm, two layers, final norm, head
    expect(biases).not.toContain('decoder.bias [31]');
  });

  it('rotates global and local layers each in their way, in both spellings', () => {
    const thetas = (changes: object) => load(changes).model.ropes.map(({ theta }) => theta);
    expect(thetas({})).toEqual([160_000, 10_000]);
    expect(thetas({ global_rope_theta: 8000, local_rope_theta: 500 })).toEqual([8000, 500]);
    const rope_parameters = {
      full_attention: { rope_type: 'default', rope_theta: 7000 },
      sliding_attention: { rope_type: 'default', rope_theta: 400 },
    };
    expect(thetas({ rope_parameters, global_rope_theta: 1 })).toEqual([7000, 400]);
    expect(thetas({ rope_parameters: { full_attention: { rope_theta: 7000 } } })).toEqual([
      7000, 10_000,
    ]);
  });

  it.each([
    [{ layer_types: ['full_attention'] }, /"layer_types" is .*expected 2 of: full_attention/],
    [{ layer_types: ['full_attention', 'chunked'] }, /"layer_types"/],
    [{ classifier_pooling: 'max' }, /"classifier_pooling" is "max", expected one of: cls, mean/],
    [{ num_attention_heads: 5 }, /"num_attention_heads" is 5, expected a divisor/],
  ])('refuses %o', (changes, message) => {
    expect(() => load(changes)).toThrow(message);
  });
});
