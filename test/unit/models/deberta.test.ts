import { describe, expect, it } from 'vitest';
import { ConfigReader } from '../../../src/models/config.ts';
import { deberta } from '../../../src/models/deberta.ts';
import { fakeWeights } from '../../support/fake_weights.ts';

const CONFIG = {
  model_type: 'deberta-v2',
  hidden_size: 12,
  intermediate_size: 20,
  num_attention_heads: 3,
  num_hidden_layers: 1,
  vocab_size: 31,
  relative_attention: true,
  position_buckets: 8,
  max_relative_positions: -1,
  pos_att_type: ['p2c', 'c2p'],
  norm_rel_ebd: 'layer_norm',
  share_att_key: true,
  position_biased_input: false,
};

function load(changes: object = {}) {
  const { weights, asked } = fakeWeights();
  return { model: deberta.load(new ConfigReader({ ...CONFIG, ...changes }), weights), asked };
}

/** The tensors that `changes` make it ask for beyond, or instead of, those it asks for without them. */
function added(changes: object): readonly string[] {
  const usual = new Set(load().asked);
  return load(changes).asked.filter((name) => !usual.has(name));
}

describe('deberta', () => {
  it('asks for the tensors of the checkpoint, each once and with its shape', () => {
    const layer = 'deberta.encoder.layer.0';
    const pair = (path: string, outDim: number, inDim: number) => [
      `${path}.weight [${outDim}, ${inDim}]`,
      `${path}.bias [${outDim}]`,
    ];
    const norm = (path: string) => [`${path}.LayerNorm.weight [12]`, `${path}.LayerNorm.bias [12]`];
    expect([...load().asked].sort()).toEqual(
      [
        'deberta.embeddings.word_embeddings.weight [31, 12]',
        ...norm('deberta.embeddings'),
        'deberta.encoder.rel_embeddings.weight [16, 12]',
        ...norm('deberta.encoder'),
        ...['query', 'key', 'value'].flatMap((name) =>
          pair(`${layer}.attention.self.${name}_proj`, 12, 12),
        ),
        ...pair(`${layer}.attention.output.dense`, 12, 12),
        ...norm(`${layer}.attention.output`),
        ...pair(`${layer}.intermediate.dense`, 20, 12),
        ...pair(`${layer}.output.dense`, 12, 20),
        ...norm(`${layer}.output`),
      ].sort(),
    );
  });

  it('reads what a configuration may add or leave out', () => {
    const layer = 'deberta.encoder.layer.0.attention.self';
    const own = (name: string) => [
      `${layer}.${name}.bias [12]`,
      `${layer}.${name}.weight [12, 12]`,
    ];
    expect(added({ share_att_key: false })).toEqual([
      ...own('pos_key_proj'),
      ...own('pos_query_proj'),
    ]);
    expect(added({ share_att_key: false, pos_att_type: 'C2P' })).toEqual(own('pos_key_proj'));
    expect(added({ position_buckets: -1, max_relative_positions: 30 })).toEqual([
      'deberta.encoder.rel_embeddings.weight [60, 12]',
    ]);
    expect(added({ position_biased_input: true, type_vocab_size: 2 })).toEqual([
      'deberta.embeddings.token_type_embeddings.weight [2, 12]',
      'deberta.embeddings.position_embeddings.weight [512, 12]',
    ]);
    expect(added({ embedding_size: 6 })).toEqual([
      'deberta.embeddings.word_embeddings.weight [31, 6]',
      'deberta.embeddings.embed_proj.weight [12, 6]',
    ]);
    expect(added({ conv_kernel_size: 3 })).toContain('deberta.encoder.conv.conv.weight [12, 36]');
    expect(load({ relative_attention: false }).asked).not.toContain(
      'deberta.encoder.rel_embeddings.weight [16, 12]',
    );
  });

  it('takes any length where positions are relative', () => {
    expect(load().model).toMatchObject({ maxPositions: Infinity, tokenTypes: 0 });
    expect(load({ position_biased_input: true }).model.maxPositions).toBe(512);
  });

  it('knows both heads for masked language modeling', () => {
    const architectures = ['DebertaV2ForMaskedLM'];
    expect(added({ architectures })).toContain('cls.predictions.transform.dense.weight [12, 12]');
    const newer = added({ architectures, legacy: false, tie_word_embeddings: false });
    expect(newer).toContain('lm_predictions.lm_head.dense.weight [12, 12]');
    expect(newer).not.toContain('lm_predictions.lm_head.weight [31, 12]');
  });

  it.each([
    [{ pos_att_type: 3 }, /"pos_att_type" is 3, expected a list of: c2p, p2c/],
    [{ conv_kernel_size: 4 }, /"conv_kernel_size" is 4, expected an odd number/],
    [{ conv_kernel_size: 3, conv_groups: 2 }, /"conv_groups" is 2, expected 1/],
    [
      { max_relative_positions: 'far' },
      /"max_relative_positions" is "far", expected an integer from 1 to 65536/,
    ],
    [{ position_buckets: 1 }, /"position_buckets" is 1/],
    [{ max_relative_positions: 2e9 }, /"max_relative_positions" is 2000000000, expected an/],
    [{ architectures: ['DebertaV2ForCausalLM'] }, /names DebertaV2ForCausalLM, expected one of/],
  ])('refuses %o', (changes, message) => {
    expect(() => load(changes)).toThrow(message);
  });
});
