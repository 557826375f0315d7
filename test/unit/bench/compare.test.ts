import { expect, it } from 'vitest';
import { adapterName, compareReports, differences } from '../../../src/bench/compare.ts';
import { spreadOf } from '../../../src/bench/statistics.ts';
import { benchReport } from '../demo/support/bench_reports.ts';

it('says which is faster, where spreads do not overlap', () => {
  const compare = (speed: number): readonly string[] =>
    compareReports([benchReport()], [benchReport({ speed })]).map(
      ({ test, ratio, verdict }) => `${test} ${ratio.toFixed(2)} ${verdict}`,
    );
  expect(compare(1.2)).toEqual(['pp512 1.20 faster', 'tg128 1.20 faster']);
  expect(compare(0.5)).toEqual(['pp512 0.50 slower', 'tg128 0.50 slower']);
  expect(compare(1.03)[0]).toBe('pp512 1.03 same within the spread');
});

it.each([
  [[9e9], 'unclear'],
  [[9e9, 9e9, 9e9], 'unclear'],
  [[9e9, 9e9, 9e9, 9e9], 'faster'],
  [[9e9, 1], 'same within the spread'],
])('says of %j beside other figures: %s', (runs, verdict) => {
  const { results, ...report } = benchReport();
  const few = results.map((result) => ({ ...result, tokensPerSecond: spreadOf(runs) }));
  const [first] = compareReports([{ ...report, results }], [{ ...report, results: few }]);
  expect(first?.verdict).toBe(verdict);
});

it('compares the same network in the same form, by whatever name', () => {
  const a = benchReport();
  const renamed = { ...a, model: { ...a.model, name: 'owner/name' } };
  expect(compareReports([a], [renamed])).toHaveLength(2);
  expect(compareReports([a], [benchReport({ form: 'f16' })])).toEqual([]);
  const other = { ...renamed.model, configuration: { hidden_size: 64 } };
  expect(compareReports([a], [{ ...a, model: other }])).toEqual([]);
});

it('tells what else differs', () => {
  expect(differences(benchReport(), benchReport())).toEqual([]);
  const other = { ...benchReport({ adapter: 'Other' }), commit: 'abc' };
  expect(differences(benchReport(), other)).toEqual([
    'adapter: Test GPU, then Other',
    'commit: unknown, then abc',
  ]);
});

it('names an adapter by its description, else by what there is', () => {
  const adapter = { vendor: 'acme', architecture: 'anvil-3', description: '' };
  expect(adapterName(adapter)).toBe('acme anvil-3');
  expect(adapterName({ ...adapter, description: 'Acme Anvil 3' })).toBe('Acme Anvil 3');
  expect(adapterName({ vendor: '', architecture: '', description: '' })).toBe('an unnamed GPU');
});
