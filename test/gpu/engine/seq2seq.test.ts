/** What encoder-decoders generate: that of the reference, however it is asked for. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDirectory } from '../../../src/node/directory.ts';
import { readExpected } from '../../../src/engine/reference_outputs.ts';
import { Seq2Seq, type Seq2SeqChunk, type Seq2SeqParams } from '../../../src/index.ts';
import { TokenizerError } from '../../../src/util/errors.ts';
import { ONE_ADAPTER } from '../../support/adapters.ts';
import { CONFORMANCE } from '../../support/model_files.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { BEAM_SEARCH, readBeamCases, tinySeq2Seq } from '../../support/tiny_seq2seq.ts';

/** Folders whose greedy ids are known; parity.test.ts has all of them. */
const GREEDY_MODELS = ['umt5', 'switch-transformers', 'mbart', 'm2m-100'];

const SEARCH = { num_beams: 3, num_return_sequences: 3, max_new_tokens: 12 } as const;

const load = (gpu: GPU, folder: string) =>
  Seq2Seq.load(openDirectory(folder), { gpu, selfTest: 'never', kvDtype: 'f32' });

describeOnGpus('an encoder-decoder', (gpu) => {
  it.each(['t5', 'bart'] as const)(
    'finds the sequences and scores of the reference, all at once: %s',
    async (name) => {
      const model = await load(gpu(), `${BEAM_SEARCH}/${name}`);
      const cases = readBeamCases().filter((one) => one.model === name);
      expect(cases.length).toBeGreaterThan(20);
      const results = await Promise.all(
        cases.map(({ input, options }) => model.generate({ ids: input }, options)),
      );
      for (const [i, { input, options, sequences, scores }] of cases.entries()) {
        const found = results[i]?.sequences ?? [];
        const label = JSON.stringify(options);
        const ids = sequences.map((sequence) => sequence.slice(1));
        expect(
          found.map((sequence) => sequence.ids),
          label,
        ).toEqual(ids);
        for (const [j, score] of scores.entries()) {
          // Largest seen: 1.4e-5.
          const difference = Math.abs((found[j]?.score ?? NaN) - score);
          expect(difference / Math.abs(score), label).toBeLessThan(1e-4);
        }
        expect(results[i]).toMatchObject({
          ...found[0],
          text: '', // there is no tokenizer
          usage: { input_tokens: input.length, output_tokens: ids.flat().length },
        });
      }
      const { kvCache, totals } = await model.stats();
      expect(kvCache.usedPages).toBe(0);
      expect(totals.encoderTokens).toBe(cases.flatMap(({ input }) => input).length);
      await model.dispose();
    },
  );
});

// What follows is decided outside of the kernels.
describeOnGpus(
  'an encoder-decoder',
  (gpu) => {
    it.each(GREEDY_MODELS)('takes the most probable tokens of the reference: %s', async (name) => {
      const folder = `${CONFORMANCE}/${name}`;
      const expected = await readExpected(openDirectory(folder));
      const [start, ...greedy] = expected.get('greedy_ids')?.values ?? [];
      const [batch, length = 0] = expected.get('input_ids')?.shape ?? [];
      const inputs = [...(expected.get('input_ids')?.values ?? [])];
      const mask = expected.get('attention_mask')?.values;
      const input = inputs.slice(0, length).filter((_, i) => mask?.[i] !== 0);
      expect(batch).toBeGreaterThan(0);
      expect(greedy.length).toBeGreaterThan(4);
      const model = await load(gpu(), folder);
      const { ids, sequences } = await model.generate(
        { ids: input },
        {
          num_beams: 1,
          max_new_tokens: greedy.length,
          // The reference went on past it.
          eos_token_id: [],
          forced_bos_token_id: null,
          forced_eos_token_id: null,
          bad_words_ids: null,
          ...(start !== undefined && { decoder_input_ids: [start] }),
        },
      );
      expect(ids).toEqual(greedy);
      expect(sequences).toHaveLength(1);
      await model.dispose();
    });

    it('counts the probability that rules take away as the file says, or the request', async () => {
      // As files of OPUS-MT have it; scores by Transformers 5.18.
      const generation = {
        bad_words_ids: [[1], [20], [13]],
        decoder_start_token_id: 2,
        eos_token_id: 2,
        max_new_tokens: 10,
        min_new_tokens: 4,
        num_beams: 3,
        num_return_sequences: 2,
        renormalize_logits: true,
        repetition_penalty: 1.5,
      };
      const files = { 'generation_config.json': JSON.stringify(generation) };
      const options = { gpu: gpu(), selfTest: 'never', kvDtype: 'f32' } as const;
      const model = await Seq2Seq.load(tinySeq2Seq(files), options);
      const best = async (params: Omit<Seq2SeqParams, 'stream'>) => {
        const { sequences } = await model.generate({ ids: [5, 9, 33, 21, 7] }, params);
        return sequences.map(({ ids, score }) => ({ ids, score: score?.toFixed(3) }));
      };
      expect(await best({})).toEqual([
        { ids: [32, 14, 19, 32, 2], score: '-1.149' },
        { ids: [32, 8, 32, 32, 2], score: '-1.179' },
      ]);
      expect(await best({ renormalize_logits: false })).toEqual([
        { ids: [32, 8, 32, 32, 2], score: '-1.901' },
        { ids: [32, 8, 40, 32, 32, 2], score: '-1.961' },
      ]);
      await model.dispose();
    });

    describe('with a tokenizer', () => {
      let model: Seq2Seq;
      beforeAll(async () => {
        model = await Seq2Seq.load(tinySeq2Seq(), {
          gpu: gpu(),
          selfTest: 'never',
          inputLength: 20,
          maxSequences: 4,
        });
      });
      afterAll(() => model?.dispose());

      const collect = async (inputs: Parameters<Seq2Seq['generate']>[0], params: Seq2SeqParams) => {
        const chunks: Seq2SeqChunk[] = [];
        for await (const chunk of await model.generate(inputs, { ...params, stream: true })) {
          chunks.push(chunk);
        }
        return chunks;
      };

      it('gives the same for a text as for its ids, and text for what it generates', async () => {
        const ids = await model.tokenize('HELLO');
        expect(ids).toHaveLength(6);
        expect(ids.at(-1)).toBe(2);
        for (const params of [{ max_new_tokens: 12 }, SEARCH]) {
          const result = await model.generate('HELLO', params);
          expect(await model.generate({ ids }, params)).toEqual(result);
          expect(result.text).not.toBe('');
          for (const { text, ids } of result.sequences) {
            expect(text).toBe(await model.detokenize(ids));
            expect(ids.length).toBeLessThanOrEqual(12);
          }
          expect(result.usage.input_tokens).toBe(6);
        }
      });

      it('streams what it gives whole, for several inputs at once', async () => {
        const inputs = ['HELLO', 'A', 'ABCABC', { ids: [30, 12, 2] }];
        for (const params of [
          { max_new_tokens: 12 },
          { max_new_tokens: 20, do_sample: true, seed: 4, temperature: 2 },
          SEARCH,
        ]) {
          const whole = await model.generate(inputs, params);
          const chunks = await collect(inputs, params);
          for (const [i, result] of whole.entries()) {
            const own = chunks.filter(({ index }) => index === i);
            expect(own.map(({ text }) => text).join('')).toBe(result.text);
            expect(own.flatMap(({ ids }) => ids)).toEqual(result.ids);
            expect(own.map(({ result }) => result)).toEqual(
              own.map((_, j) => (j === own.length - 1 ? result : undefined)),
            );
            expect(own.map(({ finish_reason: reason }) => reason)).toEqual(
              own.map((_, j) => (j === own.length - 1 ? result.finish_reason : null)),
            );
            if (params !== SEARCH) expect(own).toHaveLength(result.ids.length);
            expect(await model.generate(inputs[i] ?? '', params)).toEqual(result);
          }
        }
        expect(await model.generate([])).toEqual([]);
        expect(await collect([], {})).toEqual([]);
      });

      it('shows special tokens if asked to', async () => {
        const [bare, full] = await Promise.all(
          [true, false].map((skip_special_tokens) =>
            model.generate('HELLO', { ...SEARCH, skip_special_tokens, early_stopping: true }),
          ),
        );
        const ended = full?.sequences.findIndex(({ finish_reason: reason }) => reason === 'stop');
        expect(full?.sequences[ended ?? -1]?.text).toBe(
          `${bare?.sequences[ended ?? -1]?.text}</s>`,
        );
      });

      it('takes one token, the longest input, and longer ones cut off', async () => {
        const one = await model.generate({ ids: [9] }, { max_new_tokens: 5 });
        expect(one.usage.input_tokens).toBe(1);
        const empty = await model.generate('', { max_new_tokens: 5 });
        expect(empty.usage.input_tokens).toBe(1); // its end
        const ids = Array.from({ length: 19 }, (_, i) => 5 + i);
        const longest = await model.generate({ ids: [...ids, 2] }, SEARCH);
        expect(longest.usage.input_tokens).toBe(20);
        const text = await model.detokenize(ids);
        expect(await model.generate(text, SEARCH)).toEqual(longest);
        const cut = await model.generate(`${text}ABC`, { ...SEARCH, truncate: true });
        // The end of the text goes behind what is left of it.
        expect(cut).toEqual(longest);
        const cutIds = await model.generate(
          { ids: [...ids, 2, 3, 4] },
          { ...SEARCH, truncate: true },
        );
        expect(cutIds).toEqual(longest);
      });

      it('counts lengths as the reference does, and ends where the context does', async () => {
        const never = { eos_token_id: [] };
        const tokensOf = async (params: Omit<Seq2SeqParams, 'stream'>) =>
          (await model.generate('HELLO', { ...never, ...params })).ids.length;
        expect(await tokensOf({ max_new_tokens: 7 })).toBe(7);
        expect(await tokensOf({ max_length: 7 })).toBe(6); // with the start token
        expect(await tokensOf({ max_length: 7, decoder_input_ids: [2, 30, 31] })).toBe(4);
        expect(await tokensOf({ max_length: 7, decoder_input_ids: [30, 31] })).toBe(4);
        expect(await tokensOf({ max_length: 7, max_new_tokens: 9 })).toBe(9);
        expect(await tokensOf({})).toBe(39);
        expect(await tokensOf({ num_beams: 4 })).toBe(39);
        expect(await tokensOf({ max_new_tokens: 1000 })).toBe(39);
        const forced = { max_length: 9, forced_bos_token_id: 30, forced_eos_token_id: 2 };
        for (const num_beams of [1, 3]) {
          const { ids } = await model.generate('HELLO', { ...never, ...forced, num_beams });
          expect(ids).toHaveLength(8);
          expect([ids[0], ids[7]]).toEqual([30, 2]);
        }
      });

      it('follows generation_config.json where the request says nothing', async () => {
        const asked = { ...SEARCH, length_penalty: 2, no_repeat_ngram_size: 2, max_new_tokens: 9 };
        const other = await Seq2Seq.load(
          tinySeq2Seq({
            'generation_config.json': JSON.stringify({
              ...asked,
              decoder_start_token_id: 2,
              eos_token_id: 2,
            }),
          }),
          { gpu: gpu(), selfTest: 'never', maxSequences: 4 },
        );
        expect(await other.generate('HELLO')).toEqual(await model.generate('HELLO', asked));
        const taken = { num_beams: 1, num_return_sequences: 1, no_repeat_ngram_size: null };
        expect(await other.generate('HELLO', { ...taken, max_length: 6 })).toEqual(
          await model.generate('HELLO', { max_new_tokens: 5 }),
        );
        await other.dispose();
      });

      it('says what it is', async () => {
        const { model: facts, adapter, kvCache, totals } = await model.stats();
        expect(facts).toEqual({
          name: 'test model',
          modelType: 'bart',
          parameters: expect.any(Number),
          layers: 2,
          vocab: 47,
          inputLength: 20,
          contextLength: 40,
          weights: {
            form: 'stored',
            reason: expect.any(String),
            matrices: { f16: { count: 21, bytes: 40_848 } },
          },
        });
        expect(adapter.isSoftware).toBeTypeOf('boolean');
        expect(kvCache.usedPages).toBe(0);
        expect(totals.encoderTokens).toBeGreaterThan(0);
      });
    });

    it('takes ids alone where there is no tokenizer', async () => {
      const model = await Seq2Seq.load(tinySeq2Seq({ 'tokenizer.json': undefined }), {
        gpu: gpu(),
        selfTest: 'never',
      });
      const { text, ids } = await model.generate({ ids: [7, 8, 2] }, { max_new_tokens: 6 });
      expect(text).toBe('');
      expect(ids.length).toBeGreaterThan(0);
      const fails = [model.generate('A'), model.tokenize('A'), model.detokenize([5])];
      for (const failing of fails) {
        await expect(failing).rejects.toThrow(TokenizerError);
        await expect(failing).rejects.toThrow(/tokenizer\.json: missing in test model/);
      }
      await model.dispose();
    });
  },
  ONE_ADAPTER,
);
