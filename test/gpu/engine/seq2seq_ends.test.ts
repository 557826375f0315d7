/** Encoder-decoder requests that end before their time, and devices that do. */
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RecoveryEvent } from '../../../src/engine/api.ts';
import { Seq2Seq, type Seq2SeqChunk, type Seq2SeqResult } from '../../../src/index.ts';
import {
  ConfigError,
  DeviceLimitError,
  DisposedError,
  RequestError,
} from '../../../src/util/errors.ts';
import { ONE_ADAPTER } from '../../support/adapters.ts';
import { captureDevices } from '../../support/capture_devices.ts';
import { memorySource } from '../../support/memory_source.ts';
import { readModelFiles } from '../../support/model_files.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { tinyModel } from '../../support/tiny_model.ts';
import { BEAM_SEARCH, tinySeq2Seq } from '../../support/tiny_seq2seq.ts';

const OPTIONS = { selfTest: 'never', pageSize: 4, inputLength: 30, maxSequences: 6 } as const;
const LONG = { eos_token_id: [], max_new_tokens: 36, no_repeat_ngram_size: 3 };
const KINDS = [
  LONG,
  { ...LONG, do_sample: true, seed: 3, temperature: 2, repetition_penalty: 1.2 },
  { ...LONG, num_beams: 3, num_return_sequences: 2 },
] as const;
const TEXT = 'ABCDEFGHIJKLMNOP';

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await setImmediate();
}

async function read(chunks: AsyncIterable<Seq2SeqChunk>): Promise<Seq2SeqResult | undefined> {
  let result: Seq2SeqResult | undefined;
  let text = '';
  for await (const chunk of chunks) {
    text += chunk.text;
    ({ result } = chunk);
  }
  expect(text).toBe(result?.text);
  return result;
}

describeOnGpus(
  'an encoder-decoder',
  (gpu) => {
    describe('whose requests are broken off', () => {
      let model: Seq2Seq;
      let expected: readonly Seq2SeqResult[];
      beforeAll(async () => {
        model = await Seq2Seq.load(tinySeq2Seq(), { gpu: gpu(), ...OPTIONS });
        expected = await Promise.all(KINDS.map((params) => model.generate(TEXT, params)));
      });
      afterAll(() => model?.dispose());

      const expectIdle = async (): Promise<void> => {
        const { kvCache, requests } = await model.stats();
        expect(kvCache.usedPages).toBe(0);
        expect(requests).toEqual({ running: 0, waiting: 0 });
      };
      const stepsAfter = async (count: number): Promise<void> => {
        const { steps } = (await model.stats()).totals;
        await until(async () => (await model.stats()).totals.steps >= steps + count);
      };

      it('frees what they held, and goes on with the others', async () => {
        for (const [i, params] of KINDS.entries()) {
          for (const stream of [true, false]) {
            const controller = new AbortController();
            const { signal } = controller;
            const asked = { ...params, signal };
            const aborted = stream
              ? model.generate([TEXT, 'AB'], { ...asked, stream }).then(read)
              : model.generate([TEXT, 'AB'], asked);
            const others = KINDS.map((params) => model.generate(TEXT, params));
            await stepsAfter(3 + 4 * i);
            controller.abort(new Error('enough'));
            await expect(aborted).rejects.toBe(signal.reason);
            expect(await Promise.all(others)).toEqual(expected.map((result) => sameAs(result)));
            await expectIdle();
            await expect(model.generate(TEXT, asked)).rejects.toBe(signal.reason);
          }
        }
      });

      it('stops where the reader of a stream leaves', async () => {
        for await (const chunk of await model.generate([TEXT, TEXT], { ...LONG, stream: true })) {
          if (chunk.ids.length > 0) break;
        }
        await expectIdle();
        expect(await model.generate(TEXT, KINDS[0])).toEqual(expected[0]);
      });

      it('refuses what can never run, and nothing else', async () => {
        const few = await Seq2Seq.load(tinySeq2Seq(), { gpu: gpu(), ...OPTIONS, kvTokens: 60 });
        await expect(few.generate(TEXT, KINDS[2])).rejects.toThrow(
          /^request: 3 beams of 1 tokens and up to 36 more need 3 times 9 pages and 5 for the encoder's output, the KV cache has 15; ask for at most 12 tokens/,
        );
        const inputs = [TEXT, { ids: [] }];
        await expect(few.generate(inputs)).rejects.toThrow(RequestError);
        expect((await few.stats()).requests).toEqual({ running: 0, waiting: 0 });
        const { ids } = await few.generate(TEXT, { ...KINDS[2], max_new_tokens: 12 });
        expect(ids).toHaveLength(12);
        // Nobody asked for a length: what fits.
        const { max_new_tokens: _, ...open } = KINDS[2];
        expect((await few.generate(TEXT, open)).ids).toHaveLength(12);
        await few.dispose();
      });

      it('does not take a model of another kind', async () => {
        const options = { gpu: gpu(), ...OPTIONS };
        await expect(Seq2Seq.load(tinyModel(), options)).rejects.toThrow(ConfigError);
        const strange = tinySeq2Seq({ 'generation_config.json': '{"num_beam_groups": 2}' });
        await expect(Seq2Seq.load(strange, options)).rejects.toThrow(/"num_beam_groups": 2/);
        await expect(Seq2Seq.load(tinySeq2Seq(), { ...options, inputLength: 41 })).rejects.toThrow(
          /inputLength is 41, expected at most .* 40/,
        );
      });

      it('does not promise to read more than the device can take at a time', async () => {
        const t5 = memorySource(readModelFiles(`${BEAM_SEARCH}/t5`));
        const loading = Seq2Seq.load(t5, { gpu: gpu(), ...OPTIONS, inputLength: 200_000 });
        await expect(loading).rejects.toThrow(DeviceLimitError);
        await expect(loading).rejects.toThrow(
          'an input of 200000 tokens does not fit; choose a smaller inputLength',
        );
      });
    });

    it('ends everything when it is disposed', async () => {
      const { gpu: capturing, devices } = captureDevices(gpu());
      const model = await Seq2Seq.load(tinySeq2Seq(), { gpu: capturing, ...OPTIONS });
      const whole = KINDS.map((params) => model.generate([TEXT, 'AB'], params));
      const streams = KINDS.map((params) =>
        model.generate(TEXT, { ...params, stream: true }).then(read),
      );
      await until(async () => (await model.stats()).totals.steps > 4);
      const ends = Promise.allSettled([...whole, ...streams]);
      await model.dispose();
      for (const end of await ends) {
        expect(end).toMatchObject({ status: 'rejected', reason: expect.any(DisposedError) });
      }
      await expect(model.generate(TEXT)).rejects.toThrow(DisposedError);
      await expect(model.stats()).rejects.toThrow(DisposedError);
      await Promise.all(devices.map(({ lost }) => lost));
      await model.dispose();
    });

    it('generates the same when its device is lost meanwhile', async () => {
      const { gpu: capturing, devices } = captureDevices(gpu());
      const events: RecoveryEvent[] = [];
      const model = await Seq2Seq.load(tinySeq2Seq(), {
        gpu: capturing,
        ...OPTIONS,
        onRecovery: (event) => events.push(event),
      });
      const askAll = () =>
        Promise.all([
          ...KINDS.map(async (params) =>
            read(await model.generate(TEXT, { ...params, stream: true })),
          ),
          ...KINDS.map((params) => model.generate('AB', params)),
        ]);
      const expected = await askAll();
      // Two losses are as many as a minute may have.
      for (const moment of [3, 30]) {
        const { steps } = (await model.stats()).totals;
        const asking = askAll();
        await until(async () => (await model.stats()).totals.steps >= steps + moment);
        devices.at(-1)?.destroy();
        const results = await asking;
        expect(results).toEqual(expected.map((result) => result && sameAs(result)));
        const { kvCache, requests } = await model.stats();
        expect(kvCache.usedPages).toBe(0);
        expect(requests).toEqual({ running: 0, waiting: 0 });
      }
      expect(events.map(({ phase }) => phase)).toEqual(['lost', 'recovered', 'lost', 'recovered']);
      await model.dispose();
    });
  },
  ONE_ADAPTER,
);

/** Equal but for scores, which kernels for other numbers of rows round differently. */
function sameAs({ score, sequences, ...rest }: Seq2SeqResult): unknown {
  const near = (value: number | undefined) =>
    value !== undefined && { score: expect.closeTo(value, 4) as unknown };
  const all = sequences.map(({ score, ...sequence }) => ({ ...sequence, ...near(score) }));
  return { ...rest, ...near(score), sequences: all };
}
