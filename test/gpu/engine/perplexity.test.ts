/** What rounding the weights of a trained model costs. */
import { readFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { openModel } from '../../../src/engine/model.ts';
import { DECODERS } from '../../../src/models/decoders.ts';
import { openDirectory } from '../../../src/node/directory.ts';
import { TEST_ADAPTERS } from '../../support/adapters.ts';
import { CHAT_MODEL } from '../../support/model_files.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { perplexity } from '../../support/perplexity.ts';

/** 2,006 tokens in conversations that the model itself made up, at temperature 1, with the weights as in the files. */
const TEXTS = JSON.parse(
  readFileSync('test/fixtures/perplexity/tinychat.json', 'utf8'),
) as readonly (readonly number[])[];

const MINUTE = 60_000;

describeOnGpus(
  'perplexity of the bundled model',
  (gpu) => {
    let exact = NaN;
    const of = async (weights: 'stored' | 'q8' | 'q4'): Promise<number> => {
      const opened = await openModel(openDirectory(CHAT_MODEL), DECODERS);
      return perplexity(gpu(), opened, weights, TEXTS);
    };
    beforeAll(async () => {
      exact = await of('stored');
    }, 3 * MINUTE);

    it.each([
      ['q8', 0.005],
      ['q4', 0.03],
    ] as const)(
      '%s: at most %d more',
      async (weights, most) => {
        expect(exact).toBeGreaterThan(1);
        const ratio = (await of(weights)) / exact;
        // That it is another number shows that the weights are others.
        expect(ratio).not.toBe(1);
        expect(ratio).toBeLessThanOrEqual(1 + most);
        expect(ratio).toBeGreaterThanOrEqual(1 - most);
      },
      3 * MINUTE,
    );
  },
  TEST_ADAPTERS.slice(0, 1),
);
