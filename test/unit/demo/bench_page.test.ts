import { describe, expect, it } from 'vitest';
import { nameOfTarget, testsFor, weightBytes } from '../../../demo/bench/models.ts';
import { explainBenchFailure } from '../../../demo/bench/problem.ts';
import { describeProgress } from '../../../demo/bench/progress_wording.ts';
import {
  describeTest,
  formatFigure,
  formatMs,
  formatMsRange,
  formatPercent,
  formatRange,
} from '../../../demo/bench/wording.ts';
import { parseTest } from '../../../src/bench/index.ts';
import { spreadOf } from '../../../src/bench/statistics.ts';
import * as errors from '../../../src/index.ts';

const HERE = { hasWebGpu: true, isSecureContext: true, isOnline: true, userAgent: '' };

describe('figures', () => {
  it('have three significant digits, whatever their size', () => {
    expect([12_345, 45.67, 0.078_91, 100, 0].map(formatFigure)).toEqual([
      '12,300',
      '45.7',
      '0.0789',
      '100',
      '0',
    ]);
    expect(formatFigure(Number.NaN)).toBe('–');
    expect([0.614, 0.0312, 1.2].map(formatPercent)).toEqual(['61 %', '3.1 %', '120 %']);
    expect([0.815, 999.9, 1834].map(formatMs)).toEqual(['0.815 ms', '1,000 ms', '1.83 s']);
  });

  it('have no range where there was one run', () => {
    expect(formatRange(spreadOf([45.1, 46.2, 45.5]))).toBe('45.1–46.2');
    expect(formatRange(spreadOf([45.1]))).toBe('');
    expect(formatMsRange(spreadOf([1080, 3050, 1430]))).toBe('1.08–3.05 s');
    expect(formatMsRange(spreadOf([980, 1010, 990]))).toBe('980–1,010 ms');
    expect(formatMsRange(spreadOf([980]))).toBe('');
  });
});

it.each([
  ['pp128', 'reads a prompt of 128 tokens'],
  ['pp1@d4096', 'reads a prompt of 1 token after 4,096 tokens'],
  ['tg32', 'writes 32 tokens'],
  ['tg32@d16x4', 'writes 4 replies of 32 tokens at once after 16 tokens'],
  ['enc128', 'encodes a text of 128 tokens'],
  ['enc128x8', 'encodes 8 texts of 128 tokens at once'],
])('says what %s does', (name, words) => {
  expect(describeTest(parseTest(name))).toBe(words);
});

it('tells how far a run is in a line', () => {
  const target = { model: 'smollm2-135m', weights: 'q4' } as const;
  const progress = { phase: 'test', test: 'tg32', target, index: 0, fraction: 0.406 } as const;
  expect(describeProgress({ ...progress, done: 2, of: 5, leftMs: 11_400 })).toBe(
    'SmolLM2 135M in 4 bits: repetition 3 of 5, writes 32 tokens — 40 %, about 12 s left',
  );
  expect(describeProgress({ ...progress, of: 5 })).toBe(
    'SmolLM2 135M in 4 bits: warming up, writes 32 tokens — 40 %',
  );
});

describe('models', () => {
  it('run the tests of their kind', () => {
    const tests = ['pp128', 'tg32', 'enc128'];
    expect(testsFor(['smollm2-135m'], tests)).toEqual(['pp128', 'tg32']);
    expect(testsFor(['bert-base'], tests)).toEqual(['enc128']);
    expect(testsFor(['bert-base', 't5-base'], tests)).toEqual(['tg32', 'enc128']);
    expect(testsFor(['owner/name'], tests)).toEqual(tests);
  });

  it('are called by their names and forms', () => {
    expect(nameOfTarget({ model: 'bert-base', weights: 'f16' })).toBe('BERT base in 16 bits');
    expect(nameOfTarget({ model: 'owner/name', weights: 'auto' })).toBe('owner/name');
    expect(weightBytes({ model: 'smollm2-135m', weights: 'f32' })).toBe(540e6);
    expect(weightBytes({ model: 'owner/name', weights: 'f32' })).toBe(0);
  });
});

describe('a model that cannot be measured', () => {
  it.each([
    [new errors.NoWebGpuError('none'), 'This page cannot use WebGPU', 'graphics driver'],
    [new errors.DeviceLostError('gone'), 'took the GPU away', 'shorter tests'],
    [new errors.OutOfMemoryError('full'), 'too large', 'fewer bits'],
    [new errors.ConfigError('"model_type" is "x"'), 'no model that Quern can run', 'made-up'],
    [new errors.RequestError('test is "x"'), 'cannot be measured', 'Change'],
    [new Error('oops'), 'should not', 'report'],
  ])('is explained: %s', (error, title, advice) => {
    const problem = explainBenchFailure(error, HERE);
    expect(problem.title).toContain(title);
    expect(problem.advice.join(' ')).toContain(advice);
    expect(problem.detail).toBe(`${error.name}: ${error.message}`);
    // What can be done is done on the page itself.
    expect(problem.actions).toEqual([]);
  });

  it('was not found, or there is no network', () => {
    const url = 'https://example.com/config.json';
    const missing = new errors.DownloadError(url, 'not found', { status: 404 });
    expect(explainBenchFailure(missing, HERE).title).toContain('no such model');
    const failed = new errors.DownloadError(url, 'failed');
    expect(explainBenchFailure(failed, { ...HERE, isOnline: false }).title).toContain('offline');
    expect(explainBenchFailure(failed, HERE).advice.join(' ')).toContain('CORS');
  });
});
