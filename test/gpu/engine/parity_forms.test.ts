/** Models whose weights were rounded against the reference: as near as the rounding lets them be. */
import { expect, it, vi } from 'vitest';
import { parity } from '../../../src/engine/inspect.ts';
import { openDirectory } from '../../../src/node/directory.ts';
import { CONFORMANCE } from '../../support/model_files.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';

vi.mock(import('../../../src/weights/forms.ts'), async (importOriginal) => {
  const { inAnySize } = await import('../../support/any_size.ts');
  return inAnySize(await importOriginal());
});

/** A model of each network, with its weights in f32, bf16 or f16. */
const MODELS = [
  'llama',
  'llama-bf16',
  'bert-base',
  'modernbert',
  't5',
  'switch-transformers',
] as const;

/** Half a step of each form, relative to the largest weight of a group. */
const HALF_STEP = { f16: 2 ** -11, q8: 2 ** -8, q4: 2 ** -4 } as const;
/**
 * Outputs differ by a few times that: most weights are several times smaller than the largest, and a value is the sum of
 * what some ten matrices after each other add to it, each with errors of its own.
 */
const FACTOR = 6;

describeOnGpus('parity of rounded weights', (gpu) => {
  it.each(MODELS)('%s', async (name) => {
    const folder = `${CONFORMANCE}/${name}`;
    const errors: number[] = [];
    for (const weights of ['f16', 'q8', 'q4'] as const) {
      const tolerance = FACTOR * HALF_STEP[weights];
      const report = await parity(folder, openDirectory(folder), {
        gpu: gpu(),
        weights,
        tolerance,
      });
      expect(report.error).toBeUndefined();
      const worst = Math.max(...Object.values(report.tensors).map(({ rel }) => rel));
      expect(worst, weights).toBeLessThanOrEqual(tolerance);
      errors.push(worst);
    }
    // Each form did round, and more than the one before; f16 files stay as they are.
    expect(errors).toEqual(errors.toSorted((a, b) => a - b));
    const [, q8 = NaN, q4 = NaN] = errors;
    expect(q4).toBeGreaterThan(q8);
  });
});
