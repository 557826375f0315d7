/** Decoders beside ONNX Runtime, with the KV cache on the GPU. @module */
import type { Arena } from './arena.ts';
import type { Clock } from './clock.ts';
import type { Contest, Entry } from './contest.ts';
import { decoderModel, type DecoderConfig } from './decoder_model.ts';
import { floats, ONNX_RUNTIME, type OrtTensor, type Peer } from './ort.ts';
import type { Form } from './quern.ts';
import { CONTEXT, openQuernSide, REPLY, replyContest, samplesOf, type Side } from './replies.ts';

const COMMON = {
  model_type: 'llama',
  hidden_act: 'silu',
  tie_word_embeddings: true,
  max_position_embeddings: 2048,
} as const;

/** https://huggingface.co/Xenova/llama2.c-stories15M, config.json: small enough for a software adapter in a browser. */
export const STORIES_15M: DecoderConfig = {
  ...COMMON,
  hidden_size: 288,
  intermediate_size: 768,
  num_hidden_layers: 6,
  num_attention_heads: 6,
  num_key_value_heads: 6,
  vocab_size: 32_000,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  attention_bias: false,
};
/** https://huggingface.co/HuggingFaceTB/SmolLM2-135M, config.json */
export const SMOLLM2_135M: DecoderConfig = {
  ...COMMON,
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  vocab_size: 49_152,
  rms_norm_eps: 1e-5,
  rope_theta: 100_000,
  attention_bias: false,
};
/**
 * https://huggingface.co/Qwen/Qwen2-0.5B, config.json, as the LLaMA that it is but for the bias of its output projection,
 * which it does not have and both sides are given.
 */
const QWEN2_05B: DecoderConfig = {
  ...COMMON,
  hidden_size: 896,
  intermediate_size: 4864,
  num_hidden_layers: 24,
  num_attention_heads: 14,
  num_key_value_heads: 2,
  vocab_size: 151_936,
  rms_norm_eps: 1e-6,
  rope_theta: 1_000_000,
  attention_bias: true,
};

export const DECODER_ENTRIES: readonly Entry[] = [
  entry('stories15M', STORIES_15M, 'q4'),
  entry('stories15M', STORIES_15M, 'f32'),
  entry('SmolLM2-135M', SMOLLM2_135M, 'q4'),
  entry('SmolLM2-135M', SMOLLM2_135M, 'f32'),
  entry('Qwen2-0.5B', QWEN2_05B, 'q4'),
];

function entry(name: string, config: DecoderConfig, form: Form): Entry {
  return {
    group: `decoder ${form}`,
    name: `${name} shape ${form}`,
    peer: ONNX_RUNTIME,
    open: (arena) => openDecoder(arena, config, form),
  };
}

async function openDecoder(
  { clock, openDevice, openPeer }: Arena,
  config: DecoderConfig,
  form: Form,
): Promise<Contest> {
  const mine = await openQuernSide(await openDevice(), clock, config, form);
  const theirs = await openPeerSide(await openPeer(), clock, config, form);
  return replyContest(mine, theirs, config.vocab_size);
}

async function openPeerSide(
  peer: Peer,
  clock: Clock,
  config: DecoderConfig,
  form: Form,
): Promise<Side> {
  const session = await peer.open(decoderModel(config, form, CONTEXT), { outputs: 'cpu' });
  const { num_hidden_layers: layers, num_key_value_heads: kvHeads } = config;
  const dims = [1, kvHeads, CONTEXT, config.hidden_size / config.num_attention_heads];
  const size = dims.reduce((product, n) => product * n, 1);
  const past: Record<string, OrtTensor> = {};
  const present: Record<string, OrtTensor> = {};
  for (let i = 0; i < layers; i += 1) {
    for (const part of ['key', 'value']) {
      const buffer = await peer.upload(new Float32Array(size), dims);
      past[`past.${i}.${part}`] = buffer;
      present[`present.${i}.${part}`] = buffer;
    }
  }
  /** Runs tokens that follow `before` others. */
  const run = async (ids: readonly number[], before: number): Promise<Float32Array> => {
    const total = before + ids.length;
    const feeds = {
      ...past,
      input_ids: peer.tensor('i64', BigInt64Array.from(ids, BigInt), [1, ids.length]),
      last: peer.tensor('i64', BigInt64Array.of(BigInt(ids.length - 1)), [1]),
      seqlens_k: peer.tensor('i32', Int32Array.of(total - 1), [1]),
      total_sequence_length: peer.tensor('i32', Int32Array.of(total), []),
    };
    return floats((await session.run(feeds, { logits: null, ...present }))['logits']);
  };
  return {
    logits: (ids) => run(ids, 0),
    async reply(prompt) {
      const ids: number[] = [];
      const watch = await clock.start();
      ids.push(indexOfLargest(await run(prompt, 0)));
      const prefill = watch.lap();
      while (ids.length < REPLY) {
        ids.push(indexOfLargest(await run(ids.slice(-1), prompt.length + ids.length - 1)));
      }
      return { ids, samples: samplesOf(await Promise.all([prefill, watch.lap()])) };
    },
    async dispose() {
      for (const buffer of Object.values(past)) buffer.dispose();
      await session.release();
    },
  };
}

function indexOfLargest(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i += 1) {
    if ((values[i] ?? 0) > (values[best] ?? 0)) best = i;
  }
  return best;
}
