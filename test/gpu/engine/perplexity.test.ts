/** What rounding the weights of trained models costs. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openModel } from '../../../src/engine/model.ts';
import { DECODERS } from '../../../src/models/decoders.ts';
import { openDirectory } from '../../../src/node/directory.ts';
import type { WeightChoice } from '../../../src/weights/forms.ts';
import { ONE_ADAPTER } from '../../support/adapters.ts';
import { CHAT_MODEL } from '../../support/model_files.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { perplexity } from '../../support/perplexity.ts';
import { testDataFolders } from '../../support/test_data.ts';

const MINUTE = 60_000;

/** Tells the perplexity with weights in a form, on some 2,000 tokens that the model itself made up at temperature 1. */
function measure(gpu: () => GPU, folder: string): (weights: WeightChoice) => Promise<number> {
  const file = `test/fixtures/perplexity/${basename(folder)}.json`;
  const texts = JSON.parse(readFileSync(file, 'utf8')) as readonly (readonly number[])[];
  return async (weights) => {
    const opened = await openModel(openDirectory(folder), DECODERS);
    return perplexity(gpu(), opened, weights, texts);
  };
}

function expectClose(rounded: number, exact: number, most: number): void {
  expect(exact).toBeGreaterThan(1);
  // That it is another number shows that the weights are others.
  expect(rounded).not.toBe(exact);
  expect(rounded / exact).toBeLessThanOrEqual(1 + most);
  expect(rounded / exact).toBeGreaterThanOrEqual(1 - most);
}

describeOnGpus(
  'perplexity of the bundled model',
  (gpu) => {
    let exact = NaN;
    const of = measure(gpu, CHAT_MODEL);
    beforeAll(async () => {
      exact = await of('stored');
    }, 3 * MINUTE);

    it.each([
      ['q8', 0.005],
      ['q4', 0.03],
    ] as const)(
      '%s: at most %d more',
      async (weights, most) => {
        expectClose(await of(weights), exact, most);
      },
      3 * MINUTE,
    );
  },
  ONE_ADAPTER,
);

/** Trained models that are smaller, dim 64 and 128. */
const SMALLER = ['stories260K', 'babyllama_tok361'];

describe('smaller models', () => {
  const folders = testDataFolders('expected.safetensors').filter((folder) =>
    SMALLER.includes(basename(folder)),
  );
  if (folders.length === 0) {
    it('lose little, too', (context) => {
      context.skip(`set QUERN_TEST_DATA to a folder that holds ${SMALLER.join(' or ')}`);
    });
    return;
  }
  describeOnGpus(
    'perplexity',
    (gpu) => {
      it.each(folders)(
        '%s, q4: at most 0.03 more',
        async (folder) => {
          const of = measure(gpu, folder);
          expectClose(await of('q4'), await of('stored'), 0.03);
        },
        3 * MINUTE,
      );
    },
    ONE_ADAPTER,
  );
});
