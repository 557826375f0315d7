/**
 * What an encoder-decoder generates does not depend on what runs beside it: random schedules with tiny pools and small
 * budgets, aborts, and models of other kinds on the same adapter.
 */
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { beforeAll, expect, it, vi } from 'vitest';
import { callsPer, countCalls } from '../../../src/bench/count_calls.ts';
import {
  Encoder,
  Engine,
  Seq2Seq,
  type Seq2SeqParams,
  type Seq2SeqResult,
} from '../../../src/index.ts';
import { openDirectory } from '../../../src/node/directory.ts';
import { captureDevices } from '../../support/capture_devices.ts';
import { CREATORS } from '../../support/creators.ts';
import { CONFORMANCE } from '../../support/model_files.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { BEAM_SEARCH } from '../../support/tiny_seq2seq.ts';
import { tinyModel } from '../../support/tiny_model.ts';

interface Spec {
  readonly ids: readonly number[];
  readonly params: Omit<Seq2SeqParams, 'stream'>;
}

const text = Array.from({ length: 32 }, (_, i) => 3 + ((i * i * 7 + i * 31) % 43));
const SEEDED = { do_sample: true, temperature: 2, top_p: 0.98, seed: 9, max_new_tokens: 20 };

const SPECS: readonly Spec[] = [
  { ids: text, params: { max_new_tokens: 20 } },
  { ids: text.slice(5, 6), params: { max_new_tokens: 35, eos_token_id: [] } },
  { ids: text.slice(3, 20), params: { ...SEEDED, top_k: 30 } },
  { ids: text.slice(3, 20), params: { ...SEEDED, no_repeat_ngram_size: 2, min_length: 6 } },
  {
    ids: text.slice(0, 30),
    params: { ...SEEDED, repetition_penalty: 1.4, forced_bos_token_id: 30, eos_token_id: [] },
  },
  {
    ids: text,
    params: { max_new_tokens: 20, encoder_no_repeat_ngram_size: 1, decoder_input_ids: [12, 13] },
  },
  { ids: text.slice(0, 9), params: { num_beams: 2, max_new_tokens: 30, eos_token_id: [] } },
  {
    ids: text.slice(0, 30),
    params: {
      num_beams: 3,
      num_return_sequences: 3,
      max_new_tokens: 14,
      length_penalty: 2,
      repetition_penalty: 1.3,
      no_repeat_ngram_size: 2,
      encoder_no_repeat_ngram_size: 2,
    },
  },
  {
    ids: text.slice(2, 30),
    params: {
      num_beams: 3,
      num_return_sequences: 2,
      max_new_tokens: 12,
      eos_token_id: [],
      forced_bos_token_id: 20,
      forced_eos_token_id: 2,
      decoder_input_ids: [2],
    },
  },
];

/** Requests that are let in with little and grow past the pool: the youngest, beams or not, must wait again. */
const CROWD = [1, 1, 6, 1, 7, 4, 6, 8];

/** One page size keeps the kernels' sums in the same order. */
const FIXED = { selfTest: 'never', kvDtype: 'f32', pageSize: 4, inputLength: 32 } as const;
/** For the longest request alone: its input, and three beams. */
const LEAST_TOKENS = 32 + 3 * 24;

const schedule = fc.record({
  kvTokens: fc.constantFrom(LEAST_TOKENS, LEAST_TOKENS + 8, 2 * LEAST_TOKENS),
  maxSequences: fc.constantFrom(3, 5),
  extraBudget: fc.nat(12),
  maxInFlight: fc.integer({ min: 1, max: 3 }),
  jobs: fc.array(
    fc.record({
      spec: fc.nat(SPECS.length - 1),
      arrival: fc.oneof(fc.constant(0), fc.nat(30)),
      abortAfter: fc.option(fc.nat(30), { freq: 4, nil: undefined }),
    }),
    { minLength: 4, maxLength: 9, size: 'max' },
  ),
});

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await setImmediate();
}

/** Sequences and how they ended; scores apart, since kernels of other row counts round otherwise. */
function idsOf({ sequences }: Seq2SeqResult): readonly unknown[] {
  return sequences.map(({ ids, finish_reason: reason }) => ({ ids, reason }));
}

describeOnGpus('encoder-decoder requests', (gpu) => {
  const load = (options: object) =>
    Seq2Seq.load(openDirectory(`${BEAM_SEARCH}/bart`), { gpu: gpu(), ...FIXED, ...options });
  let expected: readonly Seq2SeqResult[];
  beforeAll(async () => {
    const model = await load({ maxInFlight: 1 });
    const results: Seq2SeqResult[] = [];
    for (const { ids, params } of SPECS) results.push(await model.generate({ ids }, params));
    await model.dispose();
    expected = results;
  });

  it('give what each gives alone, in any schedule', async () => {
    let preemptions = 0;
    await fc.assert(
      fc.asyncProperty(schedule, async ({ jobs, extraBudget, ...limits }) => {
        const tokenBudget = limits.maxSequences + extraBudget;
        const model = await load({ ...limits, tokenBudget });
        const outcomes = await Promise.all(
          jobs.map(async ({ spec, arrival, abortAfter }) => {
            const { ids, params } = SPECS[spec] ?? { ids: [], params: {} };
            const controller = new AbortController();
            await turns(arrival);
            const generating = model.generate({ ids }, { ...params, signal: controller.signal });
            if (abortAfter !== undefined) {
              await turns(abortAfter);
              controller.abort();
            }
            return generating.catch((error: unknown) => {
              if (error !== controller.signal.reason) throw error;
              return undefined;
            });
          }),
        );
        for (const [i, outcome] of outcomes.entries()) {
          const alone = expected[jobs[i]?.spec ?? -1];
          if (outcome === undefined || alone === undefined) {
            expect(jobs[i]?.abortAfter).toBeDefined();
            continue;
          }
          expect(idsOf(outcome)).toEqual(idsOf(alone));
          for (const [j, { score }] of alone.sequences.entries()) {
            if (score !== undefined) expect(outcome.sequences[j]?.score).toBeCloseTo(score, 4);
          }
        }
        const { kvCache, requests, totals } = await model.stats();
        expect(kvCache.usedPages).toBe(0);
        expect(requests).toEqual({ running: 0, waiting: 0 });
        preemptions += totals.preemptions;
        await model.dispose();
      }),
      {
        numRuns: 6,
        seed: 2,
        examples: [
          [
            {
              kvTokens: LEAST_TOKENS + 8,
              maxSequences: 5,
              extraBudget: 2,
              maxInFlight: 2,
              jobs: CROWD.map((spec) => ({ spec, arrival: 0, abortAfter: undefined })),
            },
          ],
        ],
      },
    );
    expect(preemptions).toBeGreaterThan(0);
  });

  it('create nothing while they run, with and without beams', async () => {
    const { gpu: counting, calls } = countCalls(gpu());
    const { gpu: capturing, devices } = captureDevices(counting);
    const model = await load({ gpu: capturing });
    const [device] = devices;
    if (device === undefined) throw new Error('no device was opened');
    const steady = { eos_token_id: [], max_new_tokens: 30 };
    for (const params of [
      { ...steady, repetition_penalty: 1.2 },
      { ...steady, num_beams: 4, no_repeat_ngram_size: 3 },
    ]) {
      // The first makes the recordings for the size of its input and for beams.
      await model.generate({ ids: text }, params);
      const creators = CREATORS.map((name) => vi.spyOn(device, name));
      const before = { ...calls };
      const { memory, pipelines, totals } = await model.stats();
      const { ids } = await model.generate({ ids: text }, params);
      expect(ids).toHaveLength(30);
      const { dispatches, ...perToken } = callsPer(before, calls, 30);
      expect(perToken).toEqual({
        submits: 1,
        passes: 1,
        readbacks: 1,
        buffers: 0,
        bindGroups: 0,
        pipelines: 0,
        shaderModules: 0,
      });
      expect(dispatches).toBeGreaterThan(10);
      const after = await model.stats();
      expect(after).toMatchObject({ memory, pipelines });
      expect(after.totals.steps - totals.steps).toBe(30);
      for (const creator of creators) {
        expect(creator).not.toHaveBeenCalled();
        creator.mockRestore();
      }
    }
    await model.dispose();
  });

  it('run beside a decoder and an encoder as if alone', async () => {
    const options = { gpu: gpu(), selfTest: 'never' } as const;
    const decoder = await Engine.load(tinyModel(), { ...options, contextLength: 128 });
    const encoder = await Encoder.load(openDirectory(`${CONFORMANCE}/bert-base`), options);
    const model = await load({});
    const jobs = [
      ...[0, 2, 7].map((spec) => async () => {
        const { ids, params } = SPECS[spec] ?? { ids: [], params: {} };
        return idsOf(await model.generate({ ids }, params));
      }),
      async () => {
        const sampled = { temperature: 1, seed: 3, max_tokens: 30 };
        const { choices } = await decoder.completions.create({ prompt: 'abcdef', ...sampled });
        return choices[0]?.text;
      },
      async () => {
        const [result] = await encoder.encode([{ ids: text }], { pooling: 'mean' });
        return [...(result?.vector ?? [])].map((value) => value.toFixed(4));
      },
    ];
    const alone: unknown[] = [];
    for (const job of jobs) alone.push(await job());
    expect(alone[4]).not.toEqual([]);
    for (let round = 0; round < 2; round += 1) {
      expect(await Promise.all(jobs.map((job) => job()))).toEqual(alone);
    }
    await Promise.all([decoder.dispose(), encoder.dispose(), model.dispose()]);
  });
});
