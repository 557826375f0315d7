import { expect, it } from 'vitest';
import { compareWith, letteredReports } from '../../../demo/bench/records/comparison_data.ts';
import { letterOf } from '../../../demo/bench/records/naming.ts';
import { newRecord } from '../../../demo/bench/records/record_store.ts';
import { benchReport } from './support/bench_reports.ts';

it('holds the reports of other records against those of one', () => {
  const old = newRecord([benchReport(), benchReport({ form: 'f16' })], 'measured', 'old');
  const fast = newRecord([benchReport({ speed: 1.5, adapter: 'Other GPU' })], 'imported', 'fast');
  const same = newRecord([benchReport({ speed: 1.01 })], 'imported', 'same');
  const lettered = letteredReports([old, fast, same]);
  expect(lettered.map(({ letter }) => letter)).toEqual(['A', 'B', 'C', 'D']);

  const [only, ...rest] = compareWith(old, lettered);
  // The other form was measured once only.
  expect(rest).toEqual([]);
  expect(only?.base.letter).toBe('A');
  expect(only?.tests).toEqual(['pp512', 'tg128']);
  const verdicts = only?.others.map(({ letter, comparisons }) => [
    letter,
    ...comparisons.map(({ verdict }) => verdict),
  ]);
  expect(verdicts).toEqual([
    ['C', 'faster', 'faster'],
    ['D', 'same within the spread', 'same within the spread'],
  ]);
  expect(only?.others[0]?.comparisons[0]?.ratio).toBeCloseTo(1.5);
  expect(only?.others[0]?.differences.join()).toContain('Other GPU');

  const [reverse] = compareWith(fast, lettered);
  expect(reverse?.others.map(({ letter }) => letter)).toEqual(['A', 'D']);
  expect(reverse?.others[0]?.comparisons[0]?.verdict).toBe('slower');
});

it('has nothing to say of different models', () => {
  const one = newRecord([benchReport()], 'measured');
  const other = newRecord([benchReport({ form: 'q8' })], 'measured');
  expect(compareWith(one, letteredReports([one, other]))).toEqual([]);
});

it('has a letter for any number of reports', () => {
  expect([0, 25, 26, 53].map(letterOf)).toEqual(['A', 'Z', 'A2', 'B3']);
});
