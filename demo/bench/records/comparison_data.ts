/** Which reports of some records can be compared, and what comes of it. @module */
import {
  type BenchReport,
  compareReports,
  type Comparison,
  differences,
} from '../../../src/bench/index.ts';
import { letterOf } from './naming.ts';
import type { BenchRecord } from './record_store.ts';

/** A report among all of the records that are compared. */
export interface LetteredReport {
  readonly letter: string;
  readonly record: BenchRecord;
  readonly report: BenchReport;
}

/** A report, and those of other records that measured the same model in the same form. */
export interface ComparedReport {
  readonly base: LetteredReport;
  readonly others: readonly OtherReport[];
  /** Tests of the base that one of the others has, too. */
  readonly tests: readonly string[];
}

export interface OtherReport extends LetteredReport {
  readonly comparisons: readonly Comparison[];
  /** What else differs from the base, in words. */
  readonly differences: readonly string[];
}

/** All reports of records, with the letters that plots of them have. */
export function letteredReports(records: readonly BenchRecord[]): readonly LetteredReport[] {
  return records
    .flatMap((record) => record.reports.map((report) => ({ record, report })))
    .map((one, i) => ({ ...one, letter: letterOf(i) }));
}

/** Holds reports of other records against those of one of them, as far as they have tests in common. */
export function compareWith(
  base: BenchRecord,
  reports: readonly LetteredReport[],
): readonly ComparedReport[] {
  const own = reports.filter(({ record }) => record.id === base.id);
  const foreign = reports.filter(({ record }) => record.id !== base.id);
  return own.flatMap((base) => {
    const others = foreign.flatMap((other) => {
      const comparisons = compareReports([base.report], [other.report]);
      if (comparisons.length === 0) return [];
      return [{ ...other, comparisons, differences: differences(base.report, other.report) }];
    });
    const shared = new Set(
      others.flatMap(({ comparisons }) => comparisons.map(({ test }) => test)),
    );
    const tests = base.report.results.map(({ test }) => test).filter((test) => shared.has(test));
    return tests.length === 0 ? [] : [{ base, others, tests }];
  });
}
