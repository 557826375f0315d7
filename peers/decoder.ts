/** Decoders: prefill of a prompt and greedy decode after it, with the KV cache on the GPU. @module */
import type { Device } from '../src/gpu/device.ts';
import { readBuffer } from '../src/gpu/readback.ts';
import { GREEDY } from '../src/engine/core/sampling.ts';
import { Generator } from '../src/engine/generator.ts';
import { resolveLimits } from '../src/engine/limits.ts';
import {
  relativeError,
  startWatch,
  type Contest,
  type Entry,
  type Sample,
  type Samples,
} from './contest.ts';
import { decoderModel, type DecoderConfig } from './decoder_model.ts';
import { floats, type OrtTensor, type Peer } from './ort.ts';
import { loadDecoder, tuneKernels, type Form, type OpenDevice } from './quern.ts';
import { randomIds } from './random_weights.ts';

const COMMON = {
  model_type: 'llama',
  hidden_act: 'silu',
  tie_word_embeddings: true,
  max_position_embeddings: 2048,
} as const;

/** https://huggingface.co/HuggingFaceTB/SmolLM2-135M, config.json */
const SMOLLM2_135M: DecoderConfig = {
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

const CONTEXT = 256;
const PROMPT = 128;
const REPLY = 17;
/** Prompts whose logits are compared: one that the peer has right, and one from which on its attention is not exact. */
const CHECKED = 24;
const CHECKED_LONG = 64;

export function decoderEntries(open: OpenDevice, peer: Peer): readonly Entry[] {
  const entry = (name: string, config: DecoderConfig, form: Form): Entry => ({
    group: `decoder ${form}`,
    name: `${name} shape ${form}`,
    open: () => openDecoder(open, peer, config, form),
  });
  return [
    entry('SmolLM2-135M', SMOLLM2_135M, 'q4'),
    entry('SmolLM2-135M', SMOLLM2_135M, 'f32'),
    entry('Qwen2-0.5B', QWEN2_05B, 'q4'),
  ];
}

interface Reply {
  readonly ids: readonly number[];
  readonly samples: Samples;
}

async function openDecoder(
  open: OpenDevice,
  peer: Peer,
  config: DecoderConfig,
  form: Form,
): Promise<Contest> {
  const mine = await openQuernSide(await open(), config, form);
  const theirs = await openPeerSide(peer, config, form);
  const check = async (count: number): Promise<number> => {
    const ids = randomIds('checked', count, config.vocab_size);
    return relativeError(await mine.logits(ids), await theirs.logits(ids));
  };
  const longError = await check(CHECKED_LONG);
  const error = await check(CHECKED);
  const prompt = randomIds('checked', CHECKED, config.vocab_size);
  const [reply, expected] = [await mine.reply(prompt), await theirs.reply(prompt)];
  const same = reply.ids.filter((id, i) => id === expected.ids[i]).length;
  /** A new prompt every time, for Quern remembers them. */
  const promptOf = (round: number): readonly number[] =>
    randomIds(`prompt ${round}`, PROMPT, config.vocab_size);
  return {
    amounts: {
      [`prefill ${PROMPT}`]: { count: PROMPT, unit: 'tokens' },
      [`decode`]: { count: REPLY - 1, unit: 'tokens' },
    },
    error,
    notes: () => [
      `${same} of ${REPLY} greedy tokens the same`,
      `after ${CHECKED_LONG} tokens the logits differ by ${longError.toExponential(1)}`,
    ],
    quern: async (round) => (await mine.reply(promptOf(round))).samples,
    peer: async (round) => (await theirs.reply(promptOf(round))).samples,
    async dispose() {
      await mine.dispose();
      await theirs.dispose();
    },
  };
}

interface Side {
  reply(prompt: readonly number[]): Promise<Reply>;
  /** Of the token after `ids`. */
  logits(ids: readonly number[]): Promise<Float32Array>;
  dispose(): Promise<void>;
}

async function openQuernSide(device: Device, config: DecoderConfig, form: Form): Promise<Side> {
  const decoder = await loadDecoder(device, config, form);
  const options = { contextLength: CONTEXT, kvDtype: 'f32' } as const;
  const generator = new Generator(device, decoder, resolveLimits(options, decoder, device.facts));
  await generator.prepare({ tune: () => tuneKernels(device) });
  return {
    async logits(ids) {
      const range = (await generator.runner.inspect(ids)).get('logits');
      if (range === undefined) throw new RangeError('peers: the network names no logits');
      const size = config.vocab_size * 4;
      const offset = (range.offset ?? 0) + (ids.length - 1) * size;
      return new Float32Array(await readBuffer(device, { buffer: range.buffer, offset, size }));
    },
    reply: (prompt) =>
      new Promise((resolve, reject) => {
        const ids: number[] = [];
        let watch = startWatch();
        let prefill: Sample | undefined;
        generator.add({
          prompt,
          maxTokens: REPLY,
          stopIds: new Set(),
          sampling: GREEDY,
          onToken({ token }, finishReason) {
            ids.push(token);
            if (prefill === undefined) {
              prefill = watch();
              watch = startWatch();
            }
            if (finishReason !== undefined) resolve({ ids, samples: samplesOf(prefill, watch()) });
          },
          onError: reject,
        });
      }),
    dispose: () => generator.dispose(),
  };
}

async function openPeerSide(peer: Peer, config: DecoderConfig, form: Form): Promise<Side> {
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
      let watch = startWatch();
      ids.push(indexOfLargest(await run(prompt, 0)));
      const prefill = watch();
      watch = startWatch();
      while (ids.length < REPLY) {
        ids.push(indexOfLargest(await run(ids.slice(-1), prompt.length + ids.length - 1)));
      }
      return { ids, samples: samplesOf(prefill, watch()) };
    },
    async dispose() {
      for (const buffer of Object.values(past)) buffer.dispose();
      await session.release();
    },
  };
}

function samplesOf(prefill: Sample, decode: Sample): Samples {
  return { [`prefill ${PROMPT}`]: prefill, decode };
}

function indexOfLargest(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i += 1) {
    if ((values[i] ?? 0) > (values[best] ?? 0)) best = i;
  }
  return best;
}
