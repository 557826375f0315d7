/** Speculation must not change what is said, whatever else happens; only how many steps it takes. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Engine, type EngineStats, type LoadOptions } from '../../../src/index.ts';
import { ConfigError, RequestError } from '../../../src/util/errors.ts';
import type { ModelSource } from '../../../src/weights/source.ts';
import { losableGpu } from '../../support/capture_devices.ts';
import { CONFORMANCE, readModelJson } from '../../support/model_files.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { tinyModel } from '../../support/tiny_model.ts';

/** So few pages that requests are preempted. */
const LIMITS = {
  contextLength: 128,
  kvTokens: 128,
  maxSequences: 3,
  tokenBudget: 12,
  pageSize: 8,
  selfTest: 'never',
  tune: 'never', // by the clock, which stands still here
} as const;

/** A model like the tiny one that often says the same: its positions turn at another speed. */
function similarModel(): ModelSource {
  const config = readModelJson(`${CONFORMANCE}/llama`, 'config.json');
  const rope = { rope_theta: 200, rope_type: 'default' };
  return tinyModel({ 'config.json': JSON.stringify({ ...config, rope_parameters: rope }) });
}

const KINDS = {
  lookup: () => 'lookup',
  'a draft model': () => ({ draft: similarModel(), tokens: 3 }),
} as const satisfies Record<string, () => LoadOptions['speculation']>;

interface Said {
  /** Everything but ids, times, counts and log-probabilities. */
  readonly texts: string;
  /** These are rounded differently by kernels for one and for several rows. */
  readonly logprobs: readonly number[];
}

/** Asks for replies of every kind at once, more than can run together. */
async function askAll(engine: Engine, onChunk: () => void = () => undefined): Promise<Said> {
  const { completions, chat } = engine;
  const streamed = async (params: object, prompt: string | readonly number[]) => {
    const parts: unknown[] = [];
    const stream = await completions.create({ prompt, ...params, stream: true });
    for await (const { choices } of stream) {
      parts.push(choices);
      onChunk();
    }
    return parts;
  };
  const long = Array.from({ length: 40 }, (_, i) => 3 + ((i * i) % 90));
  const seeded = { temperature: 0.5, seed: 3 };
  const penalties = { repetition_penalty: 1.2, frequency_penalty: 0.3 };
  const messages = [{ role: 'user', content: 'abcabcabcabc' }];
  const replies = await Promise.all([
    streamed({ temperature: 0, max_tokens: 60 }, 'abcabcabcabc'),
    streamed({ ...seeded, top_p: 0.9, max_tokens: 40, logit_bias: { 20: 2 } }, 'abcabcabcabc'),
    streamed({ ...seeded, top_k: 5, min_p: 0.05, max_tokens: 30, stop: ['mp'] }, long),
    streamed({ temperature: 0, max_tokens: 30, logprobs: 2 }, long),
    streamed({ ...seeded, ...penalties, max_tokens: 12 }, 'abcabc'),
    chat.completions
      .create({ messages, n: 2, ...seeded, max_tokens: 25, logprobs: true, top_logprobs: 1 })
      .then(({ choices }) => choices),
  ]);
  const logprobs: number[] = [];
  const texts = JSON.stringify(replies, (_, value: unknown) => {
    if (typeof value !== 'number' || Number.isInteger(value)) return value;
    logprobs.push(value);
    return 'a number';
  });
  return { texts, logprobs };
}

function expectSame(actual: Said, expected: Said): void {
  expect(actual.texts).toBe(expected.texts);
  expect(actual.logprobs).toHaveLength(expected.logprobs.length);
  for (const [i, logprob] of actual.logprobs.entries()) {
    expect(logprob).toBeCloseTo(expected.logprobs[i] ?? NaN, 4);
  }
}

/** Every step takes the same time, so that drafts are worth verifying however slow this machine is with them. */
let nowMs = 0;
beforeAll(() => {
  vi.spyOn(performance, 'now').mockImplementation(() => (nowMs += 1));
});
afterAll(() => {
  vi.restoreAllMocks();
});

describeOnGpus('speculation', (gpu) => {
  let expected: Said;
  let memory: EngineStats['memory'];
  beforeAll(async () => {
    const engine = await Engine.load(tinyModel(), { ...LIMITS, gpu: gpu() });
    expected = await askAll(engine);
    const { totals, memory: alone } = await engine.stats();
    memory = alone;
    expect(totals).toMatchObject({ draftedTokens: 0, verifications: 0 });
    expect(totals.preemptions).toBeGreaterThan(0);
    const { usage } = await engine.completions.create({ prompt: 'a', max_tokens: 1 });
    expect(usage).not.toHaveProperty('completion_tokens_details');
    await engine.dispose();
  });

  describe.each(Object.keys(KINDS) as (keyof typeof KINDS)[])('by %s', (kind) => {
    let engine: Engine;
    let lose: (message: string) => void;
    beforeAll(async () => {
      const losable = losableGpu(gpu());
      lose = losable.lose;
      const speculation = KINDS[kind]();
      engine = await Engine.load(tinyModel(), { ...LIMITS, gpu: losable.gpu, speculation });
    });
    afterEach(async () => {
      const { requests, kvCache } = await engine.stats();
      expect({ ...requests, usedPages: kvCache.usedPages }).toEqual({
        running: 0,
        waiting: 0,
        usedPages: 0,
      });
    });
    afterAll(() => engine?.dispose());

    it('says the same, with right and wrong drafts, beside other requests', async () => {
      expectSame(await askAll(engine), expected);
      const { totals } = await engine.stats();
      expect(totals.preemptions).toBeGreaterThan(0);
      expect(totals.acceptedTokens).toBeGreaterThan(10);
      expect(totals.draftedTokens - totals.acceptedTokens).toBeGreaterThan(10);
      expect(totals.verifications).toBeGreaterThan(10);
    });

    it('takes fewer steps of the model and tells how many guesses were right', async () => {
      const params = { prompt: 'abcabcabcabc', temperature: 0, max_tokens: 60 };
      const before = (await engine.stats()).totals;
      const { usage } = await engine.completions.create(params);
      const after = (await engine.stats()).totals;
      const accepted = after.acceptedTokens - before.acceptedTokens;
      const drafted = after.draftedTokens - before.draftedTokens;
      expect(accepted).toBeGreaterThan(0);
      expect(usage.completion_tokens).toBe(60);
      expect(usage.completion_tokens_details).toEqual({
        accepted_prediction_tokens: accepted,
        rejected_prediction_tokens: drafted - accepted,
      });
      expect(after.generatedTokens - before.generatedTokens).toBe(60);
      if (kind === 'lookup') expect(after.steps - before.steps).toBeLessThan(60 - accepted + 4);
    });

    it('counts the memory of a draft model', async () => {
      const { weights, kv } = (await engine.stats()).memory;
      const models = kind === 'lookup' ? 1 : 2;
      expect([weights, kv]).toEqual([models * memory.weights, models * memory.kv]);
    });

    it('does not speculate where penalties count what was said', async () => {
      const params = { prompt: 'abcabcabc', temperature: 0, max_tokens: 20 };
      const { usage } = await engine.completions.create({ ...params, presence_penalty: 0.1 });
      expect(usage.completion_tokens_details?.accepted_prediction_tokens).toBe(0);
      expect(usage.completion_tokens_details?.rejected_prediction_tokens).toBe(0);
    });

    it('can be left at any token', async () => {
      const open = () =>
        engine.completions.create({
          prompt: 'abcabcabcabc',
          temperature: 0,
          max_tokens: 100,
          stream: true,
        });
      for (const chunks of [1, 5, 11, 18]) {
        let seen = 0;
        for await (const { choices } of await open()) {
          seen += choices.length;
          if (seen === chunks) break;
        }
        expect(seen).toBe(chunks);
      }
    });

    it('goes on where it was when the device is lost', async () => {
      let chunks = 0;
      const said = askAll(engine, () => {
        chunks += 1;
        if (chunks === 40) lose('driver reset');
      });
      expectSame(await said, expected);
      expect((await engine.stats()).recoveries).toBe(1);
    });
  });

  it('refuses a draft model with other tokens, and options that are none', async () => {
    const load = (speculation: unknown) =>
      Engine.load(tinyModel(), {
        ...LIMITS,
        gpu: gpu(),
        speculation: speculation as NonNullable<LoadOptions['speculation']>,
      });
    const json = JSON.parse(
      new TextDecoder().decode(await readFile(tinyModel(), 'tokenizer.json')),
    );
    const { vocab } = json.model;
    const swapped = { ...vocab, a: vocab.b, b: vocab.a };
    const other = JSON.stringify({ ...json, model: { ...json.model, vocab: swapped } });
    const draft = tinyModel({ 'tokenizer.json': other });
    await expect(load({ draft })).rejects.toThrow(ConfigError);
    await expect(load({ draft })).rejects.toThrow(
      /^speculation.draft: .* has token \d+ as "b", expected "a" as the model it drafts for; choose/,
    );
    await expect(load({ draft: tinyModel(), tokens: 8 })).rejects.toThrow(
      'load: speculation.tokens is 8, expected an integer from 1 to 7',
    );
    await expect(load('on')).rejects.toThrow(RequestError);
  });
});

async function readFile(source: ModelSource, name: string): Promise<Uint8Array> {
  const file = await source.open(name);
  return file?.read(0, file.size) ?? new Uint8Array();
}
