import { describe, expect, it } from 'vitest';
import { ConfigReader } from '../../../src/models/config.ts';
import { llama } from '../../../src/models/llama.ts';
import { WeightScope, type WeightStore } from '../../../src/weights/scope.ts';
import { ConfigError } from '../../../src/util/errors.ts';

const CONFIG = {
  model_type: 'llama',
  hidden_size: 12,
  intermediate_size: 20,
  num_attention_heads: 3,
  num_key_value_heads: 1,
  num_hidden_layers: 2,
  vocab_size: 31,
};

/** Loads without a GPU; gives the decoder, and every tensor asked for with its shape. */
function load(changes: object = {}) {
  const asked: string[] = [];
  // Loading only passes tensors on: what is in them shows when a step is recorded.
  const memory = { kind: 'buffer', buffer: {} as GPUBuffer, offset: 0 } as const;
  const store: WeightStore = {
    has: () => true,
    matrix(parts, cols) {
      for (const { name, rows } of parts) asked.push(`${name} [${rows}, ${cols}]`);
      const rows = parts.reduce((sum, part) => sum + part.rows, 0);
      return { rows, cols, form: 'f32', shards: [] };
    },
    vector(parts) {
      for (const { name, rows } of parts) asked.push(`${name} [${rows}]`);
      return { shape: [parts.length], dtype: 'f32', sizeBytes: 4, memory };
    },
    rowTable({ name, rows }, cols, rowOf) {
      asked.push(`${name} [${rows}, ${cols}]`);
      return { shape: [rowOf.length, cols], dtype: 'f32', sizeBytes: 4, memory };
    },
    computed({ name, rows }, cols) {
      asked.push(`${name} [${rows}, ${cols}]`);
      return { rows, cols, form: 'f32', shards: [] };
    },
    constant: (_name, values) => ({ shape: [values.length], dtype: 'u32', sizeBytes: 4, memory }),
  };
  const decoder = llama.load(new ConfigReader({ ...CONFIG, ...changes }), new WeightScope(store));
  return { decoder, asked };
}

describe('llama', () => {
  it('asks for the tensors of the checkpoint, each once and with its shape', () => {
    const { asked } = load();
    const layer = (i: number) => [
      `model.layers.${i}.input_layernorm.weight [12]`,
      `model.layers.${i}.self_attn.q_proj.weight [12, 12]`,
      `model.layers.${i}.self_attn.k_proj.weight [4, 12]`,
      `model.layers.${i}.self_attn.v_proj.weight [4, 12]`,
      `model.layers.${i}.self_attn.o_proj.weight [12, 12]`,
      `model.layers.${i}.post_attention_layernorm.weight [12]`,
      `model.layers.${i}.mlp.gate_proj.weight [20, 12]`,
      `model.layers.${i}.mlp.up_proj.weight [20, 12]`,
      `model.layers.${i}.mlp.down_proj.weight [12, 20]`,
    ];
    expect(asked).toEqual([
      'model.embed_tokens.weight [31, 12]',
      ...layer(0),
      ...layer(1),
      'model.norm.weight [12]',
      'lm_head.weight [31, 12]',
    ]);
  });

  it('asks for no head where it is tied to the embedding, and for biases where there are some', () => {
    const plain = load({ tie_word_embeddings: true }).asked;
    expect(plain.filter((name) => /lm_head|bias/.test(name))).toEqual([]);
    const biased = load({ attention_bias: true, mlp_bias: true, num_hidden_layers: 1 }).asked;
    const names = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];
    const biases = biased.filter((name) => name.includes('bias')).map((name) => name.split('.')[4]);
    expect(new Set(biases)).toEqual(new Set(names));
    expect(biases).toHaveLength(names.length);
    expect(biased).toContain('model.layers.0.self_attn.k_proj.bias [4]');
    expect(biased).toContain('model.layers.0.mlp.up_proj.bias [20]');
  });

  it('says what its cache and its rotations are', () => {
    const { decoder } = load({ model_type: 'mistral', head_dim: 6, sliding_window: 7 });
    expect(decoder).toMatchObject({ vocab: 31, maxPositions: 2048 });
    expect(decoder.kv).toMatchObject({ layers: 2, heads: 3, kvHeads: 1, headDim: 6, window: 7 });
    expect(decoder.ropes).toMatchObject([{ theta: 10000, rotaryDim: 6 }]);
    expect(load({ sliding_window: null }).decoder.kv.window).toBeUndefined();
  });

  it.each(['hidden_size', 'intermediate_size', 'num_attention_heads', 'vocab_size'])(
    'cannot do without %s',
    (key) => {
      expect(() => load({ [key]: undefined })).toThrow(ConfigError);
      expect(() => load({ [key]: undefined })).toThrow(new RegExp(`"${key}" is missing`));
    },
  );
});
