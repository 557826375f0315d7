/** What encoder-decoders generate: that of the reference, however it is asked for. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Seq2Seq, type Seq2SeqChunk } from '../../../src/index.ts';
import { RequestError, TokenizerError } from '../../../src/util/errors.ts';
import { memorySource } from '../../support/memory_source.ts';
import { readModelFiles } from '../../support/model_files.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { BEAM_SEARCH, readBeamCases, tinySeq2Seq } from '../../support/tiny_seq2seq.ts';

describeOnGpus('an encoder-decoder', (gpu) => {
  describe.each(['t5', 'bart'] as const)('searching with %s', (name) => {
    let model: Seq2Seq;
    beforeAll(async () => {
      model = await Seq2Seq.load(memorySource(readModelFiles(`${BEAM_SEARCH}/${name}`)), {
        gpu: gpu(),
        selfTest: 'never',
        kvDtype: 'f32',
        contextLength: 40,
        inputLength: 40,
      });
    });
    afterAll(() => model.dispose());

    it('finds the sequences and scores of the reference, all at once', async () => {
      const cases = readBeamCases().filter((one) => one.model === name);
      expect(cases.length).toBeGreaterThan(20);
      const results = await Promise.all(
        cases.map(({ input, options }) => model.generate({ ids: input }, options)),
      );
      let largest = 0;
      for (const [i, { options, sequences, scores }] of cases.entries()) {
        const found = results[i]?.sequences ?? [];
        expect(
          found.map(({ ids }) => ids),
          JSON.stringify(options),
        ).toEqual(sequences.map((ids) => ids.slice(1)));
        for (const [j, score] of scores.entries()) {
          largest = Math.max(largest, Math.abs((found[j]?.score ?? NaN) - score) / Math.abs(score));
        }
      }
      console.log(name, 'largest', largest);
      expect(largest).toBeLessThan(1e-4);
      expect((await model.stats()).kvCache.usedPages).toBe(0);
    });
  });
});
