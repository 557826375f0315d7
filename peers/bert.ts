/**
 * BERT-base on one text, the last hidden states read back. Errors are those against ONNX Runtime's CPU provider on the
 * same graph, for its WebGPU provider is not exact here.
 *
 * @module
 */
import type { Device } from '../src/gpu/device.ts';
import { EncoderRunner } from '../src/engine/encoder_runner.ts';
import type { Arena } from './arena.ts';
import { relativeError, type Contest, type Entry } from './contest.ts';
import { OnnxGraph, type OnnxModel } from './onnx.ts';
import { addBias, addMatrix, addStacked, addTable, addVector } from './onnx_parts.ts';
import { floats, ONNX_RUNTIME } from './ort.ts';
import { loadEncoder, tuneKernels } from './quern.ts';
import { randomIds } from './random_weights.ts';

/** https://huggingface.co/google-bert/bert-base-uncased, config.json */
export const BERT_BASE = {
  model_type: 'bert',
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  max_position_embeddings: 512,
  type_vocab_size: 2,
  vocab_size: 30_522,
  layer_norm_eps: 1e-12,
  hidden_act: 'gelu',
};
/** The output of {@link bertModel}. */
const OUTPUT = 'last_hidden_state';
const OUTPUTS = [OUTPUT];

export const BERT_ENTRIES: readonly Entry[] = [128, 512].map((tokens) => ({
  group: 'bert',
  name: `BERT-base f32, ${tokens} tokens`,
  peer: ONNX_RUNTIME,
  open: (arena) => openBert(arena, tokens),
}));

async function openBert({ clock, openDevice, openPeer }: Arena, tokens: number): Promise<Contest> {
  const ids = randomIds('bert', tokens, BERT_BASE.vocab_size);
  const mine = await openQuernBert(await openDevice(), ids);
  const peer = await openPeer();
  const model = bertModel(tokens);
  const session = await peer.open(model, { outputs: 'cpu' });
  const feeds = {
    input_ids: peer.tensor('i64', BigInt64Array.from(ids, BigInt), [1, tokens]),
    token_type_ids: peer.tensor('i64', new BigInt64Array(tokens), [1, tokens]),
  };
  const theirs = async (): Promise<Float32Array> =>
    floats((await session.run(feeds, OUTPUTS))[OUTPUT]);
  const expected = floats((await peer.runOnCpu(model, feeds, OUTPUTS))[OUTPUT]);
  const theirError = relativeError(await theirs(), expected);
  return {
    amounts: { '': { count: tokens, unit: 'tokens' } },
    error: relativeError(await mine.run(), expected),
    notes: () => [`the peer's own error ${theirError.toExponential(1)}`],
    quern: async () => ({ '': await clock.timed(mine.run) }),
    peer: async () => ({ '': await clock.timed(theirs) }),
    async dispose() {
      mine.dispose();
      await session.release();
    },
  };
}

export interface QuernBert {
  /** The last hidden states, [tokens, dim]. */
  readonly run: () => Promise<Float32Array>;
  dispose(): void;
}

/** Quern's side: takes the device over. */
export async function openQuernBert(device: Device, ids: readonly number[]): Promise<QuernBert> {
  const encoder = await loadEncoder(device, BERT_BASE);
  let runner = new EncoderRunner(device, encoder, 1);
  const run = async (): Promise<Float32Array> => {
    const { results } = await runner.submit([{ ids }], { outputs: OUTPUTS, selects: false });
    return (await results)[0]?.get(OUTPUT) ?? new Float32Array();
  };
  await run();
  if (await tuneKernels(device)) runner = new EncoderRunner(device, encoder, 1);
  return { run, dispose: () => device.dispose() };
}

/**
 * As ONNX Runtime's own optimizer for transformers leaves it: `Attention`, `SkipLayerNormalization` and `Gelu` in place
 * of the operators that they are made of.
 */
export function bertModel(tokens: number): OnnxModel {
  const { hidden_size: dim, num_attention_heads: heads, intermediate_size: hidden } = BERT_BASE;
  const graph = new OnnxGraph();
  const epsilon = { float: BERT_BASE.layer_norm_eps };
  graph.input('input_ids', 'i64', [1, tokens]);
  graph.input('token_type_ids', 'i64', [1, tokens]);
  graph.output(OUTPUT, 'f32', [1, tokens, dim]);

  const table = (name: string, rows: number): string =>
    addTable(graph, `embeddings.${name}.weight`, rows, dim);
  const norm = (name: string): readonly string[] =>
    ['weight', 'bias'].map((part) => addVector(graph, { [`${name}.${part}`]: dim }));
  const words = table('word_embeddings', BERT_BASE.vocab_size);
  const types = table('token_type_embeddings', BERT_BASE.type_vocab_size);
  graph.node('Gather', [words, 'input_ids'], 'words');
  graph.node('Gather', [types, 'token_type_ids'], 'types');
  const positions = table('position_embeddings', BERT_BASE.max_position_embeddings);
  graph.weight(
    'places',
    [1, tokens],
    BigInt64Array.from({ length: tokens }, (_, i) => BigInt(i)),
  );
  graph.node('Gather', [positions, 'places'], 'positions');
  graph.node('Add', ['words', 'types'], 'typed');
  graph.node('Add', ['typed', 'positions'], 'placed');
  let h = graph.node(
    'LayerNormalization',
    ['placed', ...norm('embeddings.LayerNorm')],
    'embedded',
    { axis: -1, epsilon },
  );
  const addNorm = (x: string, y: string, name: string, output: string): string =>
    graph.node('com.microsoft:SkipLayerNormalization', [x, y, ...norm(name)], output, { epsilon });
  const linear = (x: string, name: string, inputs: number, outputs: number): string => {
    const sizes = { inputs, outputs };
    const y = addMatrix(graph, 'f32', {
      x,
      y: `${name}.product`,
      name: `${name}.weight`,
      ...sizes,
    });
    return addBias(graph, y, `${name}.result`, { [`${name}.bias`]: outputs });
  };
  for (let i = 0; i < BERT_BASE.num_hidden_layers; i += 1) {
    const layer = `encoder.layer.${i}`;
    const attended = addAttention(graph, h, `${layer}.attention.self`, { dim, heads });
    const output = linear(attended, `${layer}.attention.output.dense`, dim, dim);
    const middle = addNorm(output, h, `${layer}.attention.output.LayerNorm`, `${layer}.middle`);
    const up = linear(middle, `${layer}.intermediate.dense`, dim, hidden);
    const active = graph.node('com.microsoft:Gelu', [up], `${layer}.active`);
    const down = linear(active, `${layer}.output.dense`, hidden, dim);
    const isLast = i === BERT_BASE.num_hidden_layers - 1;
    const name = isLast ? OUTPUT : `${layer}.hidden`;
    h = addNorm(down, middle, `${layer}.output.LayerNorm`, name);
  }
  return graph.build();
}

function addAttention(
  graph: OnnxGraph,
  h: string,
  name: string,
  { dim, heads }: { readonly dim: number; readonly heads: number },
): string {
  const parts = ['query', 'key', 'value'];
  const sizes = (kind: string): Readonly<Record<string, number>> =>
    Object.fromEntries(parts.map((part) => [`${name}.${part}.${kind}`, dim]));
  const weight = addStacked(graph, sizes('weight'), dim);
  const bias = addVector(graph, sizes('bias'));
  return graph.node('com.microsoft:Attention', [h, weight, bias], `${name}.attended`, {
    num_heads: heads,
  });
}
