import { afterEach, describe, expect, it, vi } from 'vitest';
import { openModel } from '../../../src/engine/model.ts';
import { formDecision, formsIn, sizeWeights } from '../../../src/engine/weight_forms.ts';
import { DECODERS } from '../../../src/models/decoders.ts';
import { PLAIN_FACTS } from '../../support/device_facts.ts';
import { tinyModel } from '../../support/tiny_model.ts';

afterEach(() => vi.unstubAllGlobals());

/** A browser that tells its memory, just enough for weights in a form. */
async function withMemoryFor(form: 'stored' | 'q8' | 'q4') {
  const opened = await openModel(tinyModel(), DECODERS);
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
    const expected = { stored: ['f32'], q8: ['q8'], q4: ['q8', 'q4'] }[form];
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

  it('does as it is told', async () => {
    const opened = await withMemoryFor('q4');
    const reports = (['f32', 'f16'] as const).map((form) =>
      formDecision(opened, form)(PLAIN_FACTS),
    );
    expect(reports.map(({ form, reason }) => [form, reason])).toEqual([
      ['f32', 'asked for'],
      ['f16', 'asked for'],
    ]);
    expect(formsIn(...reports, undefined)).toEqual(['f32', 'f16']);
  });
});
