import { afterEach, describe, expect, it, vi } from 'vitest';
import { openModel } from '../../../src/engine/model.ts';
import { formDecision, formsIn, sizeWeights } from '../../../src/engine/weight_forms.ts';
import { DECODERS } from '../../../src/models/decoders.ts';
import { openDirectory } from '../../../src/node/directory.ts';
import { PLAIN_FACTS } from '../../support/device_facts.ts';
import { CHAT_MODEL } from '../../support/model_files.ts';

afterEach(() => vi.unstubAllGlobals());

/** A browser that tells its memory, just enough for weights in a form. */
async function withMemoryFor(form: 'stored' | 'q8' | 'q4') {
  const opened = await openModel(openDirectory(CHAT_MODEL), DECODERS);
  const { bytes } = sizeWeights(opened, form);
  vi.stubGlobal('navigator', { deviceMemory: (2 * bytes) / 2 ** 30 });
  return opened;
}

describe('formDecision', () => {
  it.each(['stored', 'q8', 'q4'] as const)('takes what fits: %s', async (form) => {
    const opened = await withMemoryFor(form);
    const report = formDecision(opened, 'auto')(PLAIN_FACTS);
    expect(report.form).toBe(form);
    expect(report.reason).toContain('half of navigator.deviceMemory');
    // Rows of 688 are no multiple of 32.
    const expected = { stored: ['f16'], q8: ['f16', 'q8'], q4: ['f16', 'q8', 'q4'] }[form];
    expect(formsIn(report)).toEqual(expected);
  });

  it('keeps to it on every device', async () => {
    const opened = await withMemoryFor('q8');
    const decide = formDecision(opened, 'auto');
    const report = decide(PLAIN_FACTS);
    vi.stubGlobal('navigator', {});
    expect(decide({ ...PLAIN_FACTS, isSoftware: true })).toBe(report);
    expect(formDecision(opened, 'auto')({ ...PLAIN_FACTS, isSoftware: true }).form).toBe('stored');
  });

  it('says how many matrices are too small for 4 bits', async () => {
    const opened = await withMemoryFor('q4');
    const small = /; 12 matrices of fewer than 262144 elements have 8 bits$/;
    expect(formDecision(opened, 'q4')(PLAIN_FACTS).reason).toMatch(small);
    expect(formDecision(opened, 'auto')(PLAIN_FACTS).reason).toMatch(small);
  });

  it('does as it is told', async () => {
    const opened = await withMemoryFor('q4');
    const reports = (['f32', 'q8'] as const).map((form) => formDecision(opened, form)(PLAIN_FACTS));
    expect(reports.map(({ form, reason }) => [form, reason])).toEqual([
      ['f32', 'asked for'],
      ['q8', 'asked for'],
    ]);
    expect(formsIn(...reports, undefined)).toEqual(['f32', 'f16', 'q8']);
  });
});
