/**
 * LLaMA models with random weights as GGUF files: header, metadata, list of tensors, tensors.
 *
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 *
 * @module
 */
import type { DecoderConfig } from './decoder_model.ts';
import type { Form } from './quern.ts';
import { RandomMatrix, randomVector } from './random_weights.ts';

const MAGIC = 'GGUF';
const VERSION = 3;
const ALIGNMENT = 32;
/** Numbers of the types of metadata. */
const VALUE = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;
/** Numbers of the types of tensors. */
const TENSOR = { f32: 0, q4: 2, q8: 8 } as const;
/** Number of the kind of tokens. */
const NORMAL_TOKEN = 1;
/** Elements of a block of a quantized tensor. */
const BLOCK = 32;

type Value =
  | { readonly u32: number }
  | { readonly f32: number }
  | { readonly bool: boolean }
  | string
  | ArrayValue;
type ArrayValue =
  | { readonly strings: readonly string[] }
  | { readonly f32s: readonly number[] }
  | { readonly i32s: readonly number[] };

interface Tensor {
  readonly name: string;
  /** Columns first. */
  readonly dims: readonly number[];
  readonly type: keyof typeof TENSOR;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * The same weights as `loadDecoder` gives Quern, in the same forms: Q8_0 for embeddings and Q4_0 for other matrices where
 * the form is q4. Each token is one character: see {@link textOf}.
 *
 * @returns the parts of the file
 */
export function ggufModel(config: DecoderConfig, form: Form): readonly Uint8Array<ArrayBuffer>[] {
  const tensors = tensorsOf(config, form);
  const head = new Writer();
  const metadata = Object.entries(metadataOf(config));
  head.text(MAGIC).u32(VERSION).u64(tensors.length).u64(metadata.length);
  for (const [key, value] of metadata) head.string(key).value(value);
  let offset = 0;
  for (const { name, dims, type, bytes } of tensors) {
    head.string(name).u32(dims.length);
    for (const size of dims) head.u64(size);
    head.u32(TENSOR[type]).u64(offset);
    offset += padded(bytes.length);
  }
  return [head.bytes(), ...tensors.map(({ bytes }) => bytes)].flatMap((part) => [
    part,
    new Uint8Array(padded(part.length) - part.length),
  ]);
}

/** Private characters, since a token that is a character by itself is found without merging. */
const FIRST_CHARACTER = 0xf_0000;

/** What the tokenizer of {@link ggufModel} turns into these tokens. */
export function textOf(ids: readonly number[]): string {
  return ids.map((id) => String.fromCodePoint(FIRST_CHARACTER + id)).join('');
}

/** The tokens that have been turned into a text. */
export function idsOf(text: string): readonly number[] {
  return Array.from(text, (character) => (character.codePointAt(0) ?? 0) - FIRST_CHARACTER);
}

function padded(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

function metadataOf(config: DecoderConfig): Readonly<Record<string, Value>> {
  const { vocab_size: vocab, hidden_size: dim, num_attention_heads: heads } = config;
  const each = <T>(of: (id: number) => T): readonly T[] =>
    Array.from({ length: vocab }, (_, id) => of(id));
  return {
    'general.architecture': 'llama',
    'general.name': 'made-up',
    'general.alignment': { u32: ALIGNMENT },
    'llama.context_length': { u32: config.max_position_embeddings },
    'llama.embedding_length': { u32: dim },
    'llama.block_count': { u32: config.num_hidden_layers },
    'llama.feed_forward_length': { u32: config.intermediate_size },
    'llama.attention.head_count': { u32: heads },
    'llama.attention.head_count_kv': { u32: config.num_key_value_heads },
    'llama.attention.layer_norm_rms_epsilon': { f32: config.rms_norm_eps },
    'llama.rope.dimension_count': { u32: dim / heads },
    'llama.rope.freq_base': { f32: config.rope_theta },
    'llama.vocab_size': { u32: vocab },
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': { strings: each((id) => textOf([id])) },
    'tokenizer.ggml.scores': { f32s: each(() => 0) },
    'tokenizer.ggml.token_type': { i32s: each(() => NORMAL_TOKEN) },
    'tokenizer.ggml.add_bos_token': { bool: false },
    'tokenizer.ggml.add_space_prefix': { bool: false },
  };
}

function tensorsOf(config: DecoderConfig, form: Form): readonly Tensor[] {
  const { hidden_size: dim, intermediate_size: hidden, vocab_size: vocab } = config;
  const { num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const kvDim = (dim / heads) * kvHeads;
  const vector = (name: string, source: string): Tensor => {
    const values = randomVector(`${source}.weight`, dim);
    return {
      name: `${name}.weight`,
      dims: [dim],
      type: 'f32',
      bytes: new Uint8Array(values.buffer),
    };
  };
  const matrix = (name: string, source: string, rows: number, cols: number, heads = 0): Tensor => {
    const type = form === 'q4' && source.includes('embed') ? 'q8' : form;
    const random = new RandomMatrix(`${source}.weight`, rows, cols);
    const bytes = encode(random, type);
    const turned = heads === 0 ? bytes : interleaveHalves(bytes, rows, heads);
    return { name: `${name}.weight`, dims: [cols, rows], type, bytes: turned };
  };
  const layers = Array.from({ length: config.num_hidden_layers }, (_, i) => {
    const [to, from] = [`blk.${i}`, `model.layers.${i}`];
    return [
      vector(`${to}.attn_norm`, `${from}.input_layernorm`),
      matrix(`${to}.attn_q`, `${from}.self_attn.q_proj`, dim, dim, heads),
      matrix(`${to}.attn_k`, `${from}.self_attn.k_proj`, kvDim, dim, kvHeads),
      matrix(`${to}.attn_v`, `${from}.self_attn.v_proj`, kvDim, dim),
      matrix(`${to}.attn_output`, `${from}.self_attn.o_proj`, dim, dim),
      vector(`${to}.ffn_norm`, `${from}.post_attention_layernorm`),
      matrix(`${to}.ffn_gate`, `${from}.mlp.gate_proj`, hidden, dim),
      matrix(`${to}.ffn_up`, `${from}.mlp.up_proj`, hidden, dim),
      matrix(`${to}.ffn_down`, `${from}.mlp.down_proj`, dim, hidden),
    ];
  });
  return [
    matrix('token_embd', 'model.embed_tokens', vocab, dim),
    ...layers.flat(),
    vector('output_norm', 'model.norm'),
  ];
}

/** Blocks of 32: an f16 scale, then bytes, or half bytes plus 8 of which the first 16 are the low ones. */
function encode(matrix: RandomMatrix, type: keyof typeof TENSOR): Uint8Array<ArrayBuffer> {
  if (type === 'f32') return new Uint8Array(matrix.floats().buffer);
  const values = matrix.bytes();
  const perBlock = 2 + (type === 'q8' ? BLOCK : BLOCK / 2);
  const bytes = new Uint8Array(matrix.scales.length * perBlock);
  for (const [i, scale] of matrix.scales.entries()) {
    const at = i * perBlock;
    bytes[at] = scale & 255;
    bytes[at + 1] = scale >> 8;
    const block = values.subarray(i * BLOCK, (i + 1) * BLOCK);
    for (let j = 0; j < perBlock - 2; j += 1) {
      const [value, other] = [block[j] ?? 0, block[j + BLOCK / 2] ?? 0];
      bytes[at + 2 + j] = type === 'q8' ? value : (value + 8) | ((other + 8) << 4);
    }
  }
  return bytes;
}

/** llama.cpp rotates pairs that lie side by side; ours are half a head apart. */
function interleaveHalves(
  bytes: Uint8Array<ArrayBuffer>,
  rows: number,
  heads: number,
): Uint8Array<ArrayBuffer> {
  const rowBytes = bytes.length / rows;
  const headDim = rows / heads;
  const result = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row += 1) {
    const [first, i] = [row - (row % headDim), row % headDim];
    const from = first + Math.floor(i / 2) + (i % 2) * (headDim / 2);
    result.set(bytes.subarray(from * rowBytes, (from + 1) * rowBytes), row * rowBytes);
  }
  return result;
}

/** Little-endian numbers and texts, one after the other. */
class Writer {
  #data = new DataView(new ArrayBuffer(1024));
  #length = 0;

  bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#data.buffer.slice(0, this.#length));
  }

  u8(value: number): this {
    const at = this.#room(1);
    this.#data.setUint8(at, value);
    return this;
  }

  u32(value: number): this {
    const at = this.#room(4);
    this.#data.setUint32(at, value, true);
    return this;
  }

  u64(value: number): this {
    const at = this.#room(8);
    this.#data.setBigUint64(at, BigInt(value), true);
    return this;
  }

  f32(value: number): this {
    const at = this.#room(4);
    this.#data.setFloat32(at, value, true);
    return this;
  }

  /** Without its length. */
  text(text: string): this {
    const bytes = new TextEncoder().encode(text);
    const at = this.#room(bytes.length);
    new Uint8Array(this.#data.buffer, at).set(bytes);
    return this;
  }

  string(text: string): this {
    return this.u64(new TextEncoder().encode(text).length).text(text);
  }

  /** Type and value. */
  value(value: Value): this {
    if (typeof value === 'string') return this.u32(VALUE.string).string(value);
    if ('u32' in value) return this.u32(VALUE.u32).u32(value.u32);
    if ('f32' in value) return this.u32(VALUE.f32).f32(value.f32);
    if ('bool' in value) return this.u32(VALUE.bool).u8(Number(value.bool));
    this.u32(VALUE.array);
    if ('strings' in value) {
      this.u32(VALUE.string).u64(value.strings.length);
      for (const text of value.strings) this.string(text);
    } else if ('f32s' in value) {
      this.u32(VALUE.f32).u64(value.f32s.length);
      for (const number of value.f32s) this.f32(number);
    } else {
      this.u32(VALUE.i32).u64(value.i32s.length);
      for (const number of value.i32s) this.u32(number);
    }
    return this;
  }

  /** @returns where the next bytes go */
  #room(size: number): number {
    const at = this.#length;
    this.#length += size;
    if (this.#length > this.#data.byteLength) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(new Uint8Array(this.#data.buffer));
      this.#data = new DataView(larger.buffer);
    }
    return at;
  }
}
