/** Prefill of a prompt and greedy decode after it. @module */
import type { Device } from '../src/gpu/device.ts';
import { readBuffer } from '../src/gpu/readback.ts';
import { GREEDY } from '../src/engine/core/sampling.ts';
import { Generator } from '../src/engine/generator.ts';
import { resolveLimits } from '../src/engine/limits.ts';
import type { Clock, Sample } from './clock.ts';
import { relativeError, type Contest, type Samples } from './contest.ts';
import type { DecoderConfig } from './decoder_model.ts';
import { loadDecoder, tuneKernels, type Form } from './quern.ts';
import { randomIds } from './random_weights.ts';

/** Tokens that the caches hold. */
export const CONTEXT = 256;
/** Tokens of a prompt that is measured, and of the reply to it. */
export const PROMPT = 128;
export const REPLY = 17;
/** Prompts whose logits are compared: one that the peer has right, and one from which on its attention is not exact. */
const CHECKED = 24;
const CHECKED_LONG = 64;

const PREFILL = `prefill ${PROMPT}`;
const DECODE = 'decode';

export interface Reply {
  readonly ids: readonly number[];
  readonly samples: Samples;
}

export interface Side {
  reply(prompt: readonly number[]): Promise<Reply>;
  /** Of the token after `ids`. */
  logits(ids: readonly number[]): Promise<Float32Array>;
  /** What is to be told of this engine. */
  readonly notes?: readonly string[];
  dispose(): Promise<void>;
}

/** The same prompts for both. */
export async function replyContest(mine: Side, theirs: Side, vocab: number): Promise<Contest> {
  const check = async (count: number): Promise<number> => {
    const ids = randomIds('checked', count, vocab);
    return relativeError(await mine.logits(ids), await theirs.logits(ids));
  };
  const longError = await check(CHECKED_LONG);
  const error = await check(CHECKED);
  const prompt = randomIds('checked', CHECKED, vocab);
  const [reply, expected] = [await mine.reply(prompt), await theirs.reply(prompt)];
  const same = reply.ids.filter((id, i) => id === expected.ids[i]).length;
  /** A new prompt every time, for engines remember them. */
  const promptOf = (round: number): readonly number[] =>
    randomIds(`prompt ${round}`, PROMPT, vocab);
  return {
    amounts: {
      [PREFILL]: { count: PROMPT, unit: 'tokens' },
      [DECODE]: { count: REPLY - 1, unit: 'tokens' },
    },
    error,
    notes: () => [
      ...(theirs.notes ?? []),
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

/** Takes the device over. */
export async function openQuernSide(
  device: Device,
  clock: Clock,
  config: DecoderConfig,
  form: Form,
): Promise<Side> {
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
    async reply(prompt) {
      const ids: number[] = [];
      const laps: Promise<Sample>[] = [];
      const watch = await clock.start();
      await new Promise<void>((resolve, reject) => {
        generator.add({
          prompt,
          maxTokens: REPLY,
          stopIds: new Set(),
          sampling: GREEDY,
          onToken({ token }, finishReason) {
            ids.push(token);
            if (ids.length === 1 || finishReason !== undefined) laps.push(watch.lap());
            if (finishReason !== undefined) resolve();
          },
          onError: reject,
        });
      });
      return { ids, samples: samplesOf(await Promise.all(laps)) };
    },
    dispose: () => generator.dispose(),
  };
}

/** @param laps - of the prompt and of what came after it */
export function samplesOf(laps: readonly Sample[]): Samples {
  return Object.fromEntries(
    [PREFILL, DECODE].flatMap((what, i) => {
      const sample = laps[i];
      return sample === undefined ? [] : [[what, sample]];
    }),
  );
}
