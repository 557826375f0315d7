import { describe, expect, it } from 'vitest';
import { parity } from '../../src/engine/inspect.ts';
import { openTestGpu, TEST_ADAPTERS } from '../support/adapters.ts';
import { memorySource } from '../support/memory_source.ts';
import {
  llamaShapes,
  NORM_EPS,
  ROPE_THETA,
  runLlama,
  type LlamaSizes,
} from '../support/reference_llama.ts';
import { random } from '../support/run_op.ts';
import { safetensorsFile, type TestTensor } from '../support/safetensors_file.ts';
import { encodeWeights } from '../support/weights.ts';

type Dtype = 'f32' | 'f16' | 'bf16';

interface Case {
  readonly name: string;
  readonly sizes: LlamaSizes;
  readonly dtype: Dtype;
  readonly tokens: number;
  /** Stores every other tensor in another dtype, as mixed repositories do. */
  readonly mixed?: boolean;
}

/** A small model to vary. */
const BASE = {
  hidden_size: 40,
  intermediate_size: 56,
  num_attention_heads: 5,
  num_key_value_heads: 5,
  num_hidden_layers: 1,
  vocab_size: 61,
} as const satisfies LlamaSizes;

const CASES: readonly Case[] = [
  {
    name: '5 heads on 1 KV head, 3 layers, odd vocabulary',
    sizes: { ...BASE, num_key_value_heads: 1, num_hidden_layers: 3, vocab_size: 97 },
    dtype: 'bf16',
    tokens: 37,
  },
  {
    name: 'odd rows and columns in 16 bits',
    sizes: { ...BASE, hidden_size: 45, intermediate_size: 33, head_dim: 6, vocab_size: 51 },
    dtype: 'bf16',
    tokens: 5,
  },
  {
    name: 'one head, one token, tied',
    sizes: {
      ...BASE,
      num_attention_heads: 1,
      num_key_value_heads: 1,
      head_dim: 22,
      tie_word_embeddings: true,
    },
    dtype: 'f32',
    tokens: 1,
  },
  {
    name: '7 heads of 18, biases, mixed dtypes, 130 tokens over page edges',
    sizes: {
      ...BASE,
      hidden_size: 28,
      num_attention_heads: 7,
      num_key_value_heads: 7,
      head_dim: 18,
      attention_bias: true,
      mlp_bias: true,
    },
    dtype: 'f16',
    mixed: true,
    tokens: 130,
  },
  {
    name: '6 heads on 3, window 21 over 70 tokens',
    sizes: {
      ...BASE,
      num_attention_heads: 6,
      num_key_value_heads: 3,
      head_dim: 8,
      sliding_window: 21,
      num_hidden_layers: 2,
    },
    dtype: 'bf16',
    tokens: 70,
  },
];

const GREEDY = 12;

function f32(shape: readonly number[], values: ArrayLike<number>): TestTensor {
  return { dtype: 'F32', shape, bytes: new Uint8Array(Float32Array.from(values).buffer) };
}

function i32(shape: readonly number[], values: ArrayLike<number>): TestTensor {
  return { dtype: 'I32', shape, bytes: new Uint8Array(Int32Array.from(values).buffer) };
}

/** A repository with random weights and the outputs that float64 arithmetic gives on exactly those weights. */
function build({ sizes, dtype, tokens, mixed = false }: Case): ReturnType<typeof memorySource> {
  const stored: Record<string, TestTensor> = {};
  const values: Record<string, Float32Array> = {};
  for (const [i, [name, shape]] of Object.entries(llamaShapes(sizes)).entries()) {
    const length = shape.reduce((n, size) => n * size, 1);
    const scale = shape.length === 1 ? 1 : 1.7 / Math.sqrt(shape[1] ?? 1);
    const raw = random(length, i + 11).map((v) => v * scale);
    const { bytes, exact } = encodeWeights(mixed && i % 2 === 1 ? 'bf16' : dtype, raw);
    const type = mixed && i % 2 === 1 ? 'BF16' : dtype.toUpperCase();
    stored[name] = { dtype: type, shape, bytes };
    values[name] = exact;
  }
  const weight = (name: string): Float32Array => values[name] ?? new Float32Array();
  const ids = [...random(tokens, 5)].map((v) => Math.floor(((v + 1) / 2) * sizes.vocab_size));
  const { hidden, logits } = runLlama(sizes, weight, ids);

  const prompt = ids.slice(0, Math.min(4, tokens));
  const greedy: number[] = [];
  while (greedy.length < GREEDY) {
    const last = runLlama(sizes, weight, [...prompt, ...greedy]).logits.at(-1) ?? [];
    greedy.push(last.indexOf(Math.max(...last)));
  }
  const states = hidden.map((rows, i) => [
    `hidden_states.${i}`,
    f32([1, tokens, sizes.hidden_size], rows.flat()),
  ]);
  return memorySource({
    'config.json': JSON.stringify({
      model_type: sizes.sliding_window === undefined ? 'llama' : 'mistral',
      rms_norm_eps: NORM_EPS,
      rope_theta: ROPE_THETA,
      max_position_embeddings: 256,
      ...sizes,
    }),
    'model.safetensors': safetensorsFile(stored),
    'expected.safetensors': safetensorsFile({
      ...Object.fromEntries(states),
      logits: f32([1, tokens, sizes.vocab_size], logits.flat()),
      input_ids: i32([1, tokens], ids),
      prompt_ids: i32([1, prompt.length], prompt),
      greedy_ids: i32([1, GREEDY], greedy),
    }),
  });
}

describe.each(TEST_ADAPTERS)('models of odd sizes on %s', (adapter) => {
  it.each(CASES)('$name', async (c) => {
    const gpu = await openTestGpu(adapter);
    if (typeof gpu === 'string') throw new Error(gpu);
    const report = await parity(c.name, build(c), { gpu, tolerance: 2e-6 });
    expect(report.error).toBeUndefined();
    expect(Object.keys(report.tensors)).toHaveLength(c.sizes.num_hidden_layers + 2);
    expect(report.greedy?.actual).toEqual(report.greedy?.expected);
    expect(report.tensors).toSatisfy(() => report.ok);
  });
});
