/**
 * wllama, which is llama.cpp in WebAssembly: on the processor, and on WebGPU where its backend accepts the adapter.
 *
 * It rounds what a 4-bit matrix is multiplied by, so its logits differ more from ours than the order of sums explains.
 *
 * @module
 */
import wasm from '@wllama/wllama/esm/wasm/wllama.wasm?url';
import type { Arena } from '../arena.ts';
import type { Clock, Sample } from '../clock.ts';
import { CannotRun, type Contest, type Entry } from '../contest.ts';
import { SMOLLM2_135M, STORIES_15M } from '../decoder.ts';
import type { DecoderConfig } from '../decoder_model.ts';
import { ggufModel, idsOf, textOf } from '../gguf.ts';
import type { Form } from '../quern.ts';
import { CONTEXT, openQuernSide, REPLY, replyContest, samplesOf, type Side } from '../replies.ts';

/** What llama.cpp says when it has put layers on a GPU. */
const OFFLOADED = /offloaded [1-9]\d*\/\d+ layers to GPU/;

type Place = 'CPU' | 'WebGPU';

/** Of the logarithms of probabilities: activations have 8 bits on the CPU and may have 16 on a GPU. */
const TOLERANCE = 0.02;

export const WLLAMA_ENTRIES: readonly Entry[] = (['WebGPU', 'CPU'] as const).flatMap((place) =>
  (['q4', 'f32'] as const).flatMap((form) =>
    Object.entries({ stories15M: STORIES_15M, 'SmolLM2-135M': SMOLLM2_135M }).map(
      ([name, config]) => ({
        group: `decoder ${form}, wllama on ${place}`,
        name: `${name} shape ${form}`,
        peer: `wllama on ${place}`,
        tolerance: TOLERANCE,
        open: (arena) => openDecoder(arena, config, form, place),
      }),
    ),
  ),
);

async function openDecoder(
  { clock, openDevice }: Arena,
  config: DecoderConfig,
  form: Form,
  place: Place,
): Promise<Contest> {
  const theirs = await openTheirs(clock, config, form, place);
  const mine = await openQuernSide(await openDevice(), clock, config, form);
  const logits = async (ids: readonly number[]): Promise<Float32Array> =>
    logSoftmax(await mine.logits(ids));
  return replyContest({ ...mine, logits }, theirs, config.vocab_size);
}

async function openTheirs(
  clock: Clock,
  config: DecoderConfig,
  form: Form,
  place: Place,
): Promise<Side> {
  const { Wllama } = await import('@wllama/wllama');
  const log: string[] = [];
  const keep = (...words: readonly unknown[]): void => void log.push(words.join(' '));
  const logger = { debug: keep, log: keep, warn: keep, error: keep };
  const engine = new Wllama({ default: wasm }, { logger });
  await engine.loadModel([new Blob([...ggufModel(config, form)])], {
    n_ctx: CONTEXT,
    n_batch: CONTEXT,
    n_gpu_layers: place === 'CPU' ? 0 : 99_999,
    cache_type_k: 'f32',
    cache_type_v: 'f32',
    log_level: 2,
  });
  if (place === 'WebGPU' && !log.some((line) => OFFLOADED.test(line))) {
    await engine.exit();
    throw new CannotRun('its WebGPU backend did not take the model: all layers stayed on the CPU');
  }
  const common = { temperature: 0, ignore_eos: true, cache_prompt: false };
  return {
    notes: [`llama.cpp ${Wllama.getLibllamaVersion()}, ${engine.getNumThreads()} threads`],
    async logits(ids) {
      const { choices } = await engine.createCompletion({
        ...common,
        prompt: textOf(ids),
        max_tokens: 1,
        n_probs: config.vocab_size,
      });
      const found = choices[0]?.logprobs?.content[0]?.top_logprobs ?? [];
      const values = new Float32Array(config.vocab_size).fill(Number.NaN);
      for (const { id, logprob } of found) values[id] = logprob;
      return values;
    },
    async reply(prompt) {
      const ids: number[] = [];
      const laps: Promise<Sample>[] = [];
      const watch = await clock.start();
      const request = {
        ...common,
        prompt: textOf(prompt),
        max_tokens: REPLY,
        stream: true,
      } as const;
      for await (const { choices } of await engine.createCompletion(request)) {
        const added = idsOf(choices[0]?.text ?? '');
        ids.push(...added);
        if (added.length > 0 && (laps.length === 0 || ids.length === REPLY)) laps.push(watch.lap());
      }
      return { ids, samples: samplesOf(await Promise.all(laps)) };
    },
    dispose: () => engine.exit(),
  };
}

function logSoftmax(values: Float32Array): Float32Array {
  const largest = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = values.reduce((total, value) => total + Math.exp(value - largest), 0);
  return values.map((value) => value - largest - Math.log(sum));
}
