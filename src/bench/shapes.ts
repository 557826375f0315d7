/** Well-known models, and one for tests, by their config.json: what is measured of a network depends on its sizes alone. @module */
import { ConfigReader } from '../models/config.ts';
import { kindOf } from '../models/kinds.ts';
import { RequestError } from '../util/errors.ts';
import type { CaseSizes, MatrixSize } from './kernel_cases.ts';

type Json = Readonly<Record<string, unknown>>;

const LLAMA = { architectures: ['LlamaForCausalLM'], model_type: 'llama', hidden_act: 'silu' };
const BERT = {
  architectures: ['BertModel'],
  model_type: 'bert',
  hidden_act: 'gelu',
  layer_norm_eps: 1e-12,
  max_position_embeddings: 512,
  type_vocab_size: 2,
  vocab_size: 30_522,
};
const LLAMA_3_ROPE = {
  rope_type: 'llama3',
  factor: 32,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};

/** Configurations by name, as in the repositories of these models, but for what no size depends on. */
export const SHAPES: Readonly<Record<string, Json>> = {
  'smollm2-135m': {
    ...LLAMA,
    hidden_size: 576,
    intermediate_size: 1536,
    max_position_embeddings: 8192,
    num_attention_heads: 9,
    num_hidden_layers: 30,
    num_key_value_heads: 3,
    rms_norm_eps: 1e-5,
    rope_theta: 100_000,
    tie_word_embeddings: true,
    vocab_size: 49_152,
  },
  // Qwen2 is LLaMA with biases on queries, keys and values; here there is one on the output projection too.
  'qwen2.5-0.5b': {
    ...LLAMA,
    attention_bias: true,
    hidden_size: 896,
    intermediate_size: 4864,
    max_position_embeddings: 32_768,
    num_attention_heads: 14,
    num_hidden_layers: 24,
    num_key_value_heads: 2,
    rms_norm_eps: 1e-6,
    rope_theta: 1_000_000,
    tie_word_embeddings: true,
    vocab_size: 151_936,
  },
  'llama-3.2-1b': {
    ...LLAMA,
    head_dim: 64,
    hidden_size: 2048,
    intermediate_size: 8192,
    max_position_embeddings: 131_072,
    num_attention_heads: 32,
    num_hidden_layers: 16,
    num_key_value_heads: 8,
    rms_norm_eps: 1e-5,
    rope_scaling: LLAMA_3_ROPE,
    rope_theta: 500_000,
    tie_word_embeddings: true,
    vocab_size: 128_256,
  },
  'llama-3.2-3b': {
    ...LLAMA,
    head_dim: 128,
    hidden_size: 3072,
    intermediate_size: 8192,
    max_position_embeddings: 131_072,
    num_attention_heads: 24,
    num_hidden_layers: 28,
    num_key_value_heads: 8,
    rms_norm_eps: 1e-5,
    rope_scaling: LLAMA_3_ROPE,
    rope_theta: 500_000,
    tie_word_embeddings: true,
    vocab_size: 128_256,
  },
  'mistral-7b': {
    ...LLAMA,
    architectures: ['MistralForCausalLM'],
    model_type: 'mistral',
    hidden_size: 4096,
    intermediate_size: 14_336,
    max_position_embeddings: 32_768,
    num_attention_heads: 32,
    num_hidden_layers: 32,
    num_key_value_heads: 8,
    rms_norm_eps: 1e-5,
    rope_theta: 1_000_000,
    sliding_window: null,
    vocab_size: 32_768,
  },
  'llama-3.1-8b': {
    ...LLAMA,
    hidden_size: 4096,
    intermediate_size: 14_336,
    max_position_embeddings: 131_072,
    num_attention_heads: 32,
    num_hidden_layers: 32,
    num_key_value_heads: 8,
    rms_norm_eps: 1e-5,
    rope_scaling: { ...LLAMA_3_ROPE, factor: 8 },
    rope_theta: 500_000,
    vocab_size: 128_256,
  },
  'bert-base': {
    ...BERT,
    hidden_size: 768,
    intermediate_size: 3072,
    num_attention_heads: 12,
    num_hidden_layers: 12,
  },
  minilm: {
    ...BERT,
    hidden_size: 384,
    intermediate_size: 1536,
    num_attention_heads: 12,
    num_hidden_layers: 6,
  },
  't5-base': {
    architectures: ['T5ForConditionalGeneration'],
    model_type: 't5',
    d_ff: 3072,
    d_kv: 64,
    d_model: 768,
    decoder_start_token_id: 0,
    eos_token_id: 1,
    feed_forward_proj: 'relu',
    layer_norm_epsilon: 1e-6,
    num_decoder_layers: 12,
    num_heads: 12,
    num_layers: 12,
    pad_token_id: 0,
    relative_attention_max_distance: 128,
    relative_attention_num_buckets: 32,
    vocab_size: 32_128,
  },
  // Of no model: small enough to be measured in seconds by a processor.
  tiny: {
    ...LLAMA,
    hidden_size: 128,
    intermediate_size: 352,
    max_position_embeddings: 2048,
    num_attention_heads: 4,
    num_hidden_layers: 2,
    num_key_value_heads: 2,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: true,
    vocab_size: 1024,
  },
};

/** @throws {RequestError} if there is no shape of this name */
export function shapeConfig(name: string): ConfigReader {
  const json = Object.hasOwn(SHAPES, name) ? SHAPES[name] : undefined;
  if (json !== undefined) return new ConfigReader(json);
  throw new RequestError(
    `bench: shape is "${name}", expected one of: ${Object.keys(SHAPES).join(', ')}`,
    { param: 'shape' },
  );
}

/**
 * The sizes of a network's operations, from the keys that most configurations have.
 *
 * @throws {ConfigError} if a key is missing or absurd
 */
export function caseSizes(json: ConfigReader): CaseSizes {
  const isT5 = json.raw('d_model') !== undefined;
  const dim = json.size(isT5 ? 'd_model' : 'hidden_size');
  const { heads, kvHeads, headDim } = isT5
    ? { heads: json.size('num_heads'), kvHeads: json.size('num_heads'), headDim: json.size('d_kv') }
    : json.attentionHeads(dim);
  const hidden = json.size(isT5 ? 'd_ff' : 'intermediate_size');
  const vocab = json.size('vocab_size');
  const isDecoder = kindOf(json) === 'decoder';
  const matrices: readonly MatrixSize[] = [
    { outputs: (heads + 2 * kvHeads) * headDim, inputs: dim },
    { outputs: dim, inputs: heads * headDim },
    { outputs: isDecoder ? 2 * hidden : hidden, inputs: dim },
    { outputs: dim, inputs: hidden },
    ...(isDecoder ? [{ outputs: vocab, inputs: dim }] : []),
  ];
  return { matrices, heads, kvHeads, headDim, dim, vocab };
}
