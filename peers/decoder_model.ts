/**
 * A LLaMA as onnxruntime-genai exports it: `GroupQueryAttention` on packed queries, keys and values, which also rotates
 * them and appends to a cache of fixed size, `SkipSimplifiedLayerNormalization`, and `MatMulNBits`.
 *
 * In its favor the lengths are inputs, not computed from a mask, and only the last token has logits.
 *
 * @module
 */
import { OnnxGraph, type OnnxModel } from './onnx.ts';
import { addBias, addMatrix, addTable, addVector } from './onnx_parts.ts';
import type { Form } from './quern.ts';

/** Keys of config.json. */
export interface DecoderConfig {
  readonly model_type: 'llama';
  readonly hidden_act: 'silu';
  readonly tie_word_embeddings: true;
  readonly max_position_embeddings: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly vocab_size: number;
  readonly rms_norm_eps: number;
  readonly rope_theta: number;
  readonly attention_bias: boolean;
}

/** ONNX's number of the element type. */
const ONNX_INT32 = 6;
const SKIP_NORM = 'com.microsoft:SkipSimplifiedLayerNormalization';
const EMBEDDING = 'model.embed_tokens.weight';

/** Names of a model's values, as whoever runs it expects them. */
export interface Naming {
  /** The lengths come from this mask of ones, i64 [1, tokens so far], and caches grow: see {@link decoderModel}. */
  readonly mask: string | undefined;
  /** Before `.0.key`. */
  readonly past: string;
}

const PLAIN: Naming = { mask: undefined, past: 'past' };

/** @param context - tokens that the cache holds */
export function decoderModel(
  config: DecoderConfig,
  form: Form,
  context: number,
  { mask, past }: Naming = PLAIN,
): OnnxModel {
  const { hidden_size: dim, vocab_size: vocab, num_hidden_layers: layers } = config;
  const graph = new OnnxGraph();
  const epsilon = { float: config.rms_norm_eps };
  const kvShape = (tokens: string): readonly (number | string)[] => [
    1,
    config.num_key_value_heads,
    mask === undefined ? context : tokens,
    headDimOf(config),
  ];
  graph.input('input_ids', 'i64', [1, 'tokens']);
  if (mask === undefined) addLengthInputs(graph);
  else addLengths(graph, mask);
  graph.output('logits', 'f32', [1, 1, vocab]);
  addRotary(graph, config, context);

  let h = graph.node('Gather', [addTable(graph, EMBEDDING, vocab, dim), 'input_ids'], 'embedded');
  const norm = (name: string): string => addVector(graph, { [`${name}.weight`]: dim });
  let x = graph.node(
    'SimplifiedLayerNormalization',
    [h, norm('model.layers.0.input_layernorm')],
    'normed',
    { axis: -1, epsilon },
  );
  /** The norm of h + added; h becomes the sum. */
  const addNorm = (added: string, name: string, bias: string): string => {
    const sum = `${name}.sum`;
    const inputs = [added, h, norm(name), ...(bias === '' ? [] : [bias])];
    h = sum;
    return graph.node(SKIP_NORM, inputs, `${name}.result`, { epsilon }, ['', '', sum]);
  };
  for (let i = 0; i < layers; i += 1) {
    const layer = `model.layers.${i}`;
    for (const part of ['key', 'value']) {
      graph.input(`${past}.${i}.${part}`, 'f32', kvShape('past'));
      graph.output(`present.${i}.${part}`, 'f32', kvShape('total'));
    }
    const attended = addAttention(graph, x, { layer: i, past }, config, form);
    const bias = config.attention_bias
      ? addVector(graph, { [`${layer}.self_attn.o_proj.bias`]: dim })
      : '';
    x = addNorm(attended, `${layer}.post_attention_layernorm`, bias);
    const fed = addFeedForward(graph, x, `${layer}.mlp`, config, form);
    x = addNorm(fed, i + 1 < layers ? `model.layers.${i + 1}.input_layernorm` : 'model.norm', '');
  }
  graph.node('Gather', [x, 'last'], 'sampled', { axis: 1 });
  const head = { x: 'sampled', y: 'logits', name: EMBEDDING, inputs: dim, outputs: vocab };
  addMatrix(graph, form, head);
  return graph.build();
}

function addLengthInputs(graph: OnnxGraph): void {
  graph.input('last', 'i64', [1]);
  graph.input('seqlens_k', 'i32', [1]);
  graph.input('total_sequence_length', 'i32', []);
}

/** The same values computed from a mask, as the exporter does it for whoever has no others. */
function addLengths(graph: OnnxGraph, mask: string): void {
  graph.input(mask, 'i64', [1, 'total']);
  graph.weight('one', [1], BigInt64Array.of(1n));
  graph.weight('second', [], BigInt64Array.of(1n));
  graph.weight('last', [1], BigInt64Array.of(-1n));
  graph.node('ReduceSum', [mask, 'one'], 'mask.sum', { keepdims: 0 });
  graph.node('Sub', ['mask.sum', 'one'], 'mask.before');
  graph.node('Cast', ['mask.before'], 'seqlens_k', { to: ONNX_INT32 });
  graph.node('Shape', [mask], 'mask.shape');
  graph.node('Gather', ['mask.shape', 'second'], 'mask.length', { axis: 0 });
  graph.node('Cast', ['mask.length'], 'total_sequence_length', { to: ONNX_INT32 });
}

function headDimOf({ hidden_size: dim, num_attention_heads: heads }: DecoderConfig): number {
  return dim / heads;
}

/** Wo · attention(R(Wq·x), R(Wk·x), Wv·x), without the bias of Wo */
function addAttention(
  graph: OnnxGraph,
  x: string,
  { layer, past }: { readonly layer: number; readonly past: string },
  config: DecoderConfig,
  form: Form,
): string {
  const { hidden_size: dim, num_attention_heads: heads, num_key_value_heads: kvHeads } = config;
  const name = `model.layers.${layer}.self_attn`;
  const headDim = headDimOf(config);
  const sizes = { q: heads * headDim, k: kvHeads * headDim, v: kvHeads * headDim };
  const named = (kind: string): Readonly<Record<string, number>> =>
    Object.fromEntries(
      Object.entries(sizes).map(([part, rows]) => [`${name}.${part}_proj.${kind}`, rows]),
    );
  const outputs = (heads + 2 * kvHeads) * headDim;
  const product = { x, y: `${name}.product`, name: named('weight'), inputs: dim, outputs };
  const plain = addMatrix(graph, form, product);
  const qkv = config.attention_bias
    ? addBias(graph, plain, `${name}.biased`, named('bias'))
    : plain;
  const attended = graph.node(
    'com.microsoft:GroupQueryAttention',
    [
      qkv,
      '',
      '',
      `${past}.${layer}.key`,
      `${past}.${layer}.value`,
      'seqlens_k',
      'total_sequence_length',
      'cos',
      'sin',
    ],
    `${name}.attended`,
    { num_heads: heads, kv_num_heads: kvHeads, do_rotary: 1, rotary_interleaved: 0 },
    [`present.${layer}.key`, `present.${layer}.value`],
  );
  const output = { inputs: heads * headDim, outputs: dim };
  const weight = `${name}.o_proj.weight`;
  return addMatrix(graph, form, { x: attended, y: `${name}.output`, name: weight, ...output });
}

/** Wd · (silu(Wg·x) ⊙ (Wu·x)) */
function addFeedForward(
  graph: OnnxGraph,
  x: string,
  name: string,
  { hidden_size: dim, intermediate_size: hidden }: DecoderConfig,
  form: Form,
): string {
  const linear = (input: string, part: string, inputs: number, outputs: number): string => {
    const [y, weight] = [`${name}.${part}.result`, `${name}.${part}_proj.weight`];
    return addMatrix(graph, form, { x: input, y, name: weight, inputs, outputs });
  };
  const gate = linear(x, 'gate', dim, hidden);
  const up = linear(x, 'up', dim, hidden);
  graph.node('Sigmoid', [gate], `${name}.sigmoid`);
  graph.node('Mul', [gate, `${name}.sigmoid`], `${name}.silu`);
  const gated = graph.node('Mul', [`${name}.silu`, up], `${name}.gated`);
  return linear(gated, 'down', hidden, dim);
}

/** cos and sin of position · θ^(-2i / headDim), f32 [context, headDim / 2] */
function addRotary(graph: OnnxGraph, config: DecoderConfig, context: number): void {
  const half = headDimOf(config) / 2;
  for (const [name, of] of Object.entries({ cos: Math.cos, sin: Math.sin })) {
    const values = Float32Array.from({ length: context * half }, (_, at) => {
      const [position, i] = [Math.floor(at / half), at % half];
      return of(position * config.rope_theta ** (-i / half));
    });
    graph.weight(name, [context, half], values);
  }
}
