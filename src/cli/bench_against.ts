/** What has become slower since an earlier measurement. @module */
import { compareReports, differences, type Comparison } from '../bench/compare.ts';
import type { BenchReport } from '../bench/report.ts';
import { UsageError } from './command.ts';
import { formatNumber, formatTable } from './format.ts';

/** Two measurements side by side. */
export interface Against {
  readonly text: string;
  /** Whether a test is slower beyond spread and tolerance. */
  readonly isSlower: boolean;
}

/**
 * Compares with an earlier measurement, test by test.
 *
 * @param tolerance - slowdown that is accepted, a share of what was; where a test was run once, it alone decides
 * @throws {UsageError} if the two have no test in common
 */
export function describeAgainst(
  before: readonly BenchReport[],
  after: readonly BenchReport[],
  tolerance: number,
): Against {
  const comparisons = compareReports(before, after);
  if (comparisons.length === 0) {
    throw new UsageError(
      `--against: the earlier measurement is of ${namesOf(before)}, expected some of ${namesOf(after)}`,
    );
  }
  const slower = comparisons.filter((comparison) => isSlower(comparison, tolerance));
  const rows = comparisons.map((comparison) => {
    const { model, form, test, a, b, ratio, verdict } = comparison;
    const isWithin = verdict === 'slower' && !slower.includes(comparison);
    return [
      `${model} ${form} ${test}`,
      formatNumber(a.median),
      formatNumber(b.median),
      formatNumber(ratio),
      isWithin ? 'slower, within the tolerance' : verdict,
    ];
  });
  const lines = [
    ...environment(before, after).map((difference) => `differs  ${difference}\n`),
    formatTable([['tokens/s', 'before', 'now', 'ratio', 'beside the earlier one'], ...rows]),
    ...uncompared(before, after, comparisons).map((name) => `not compared: ${name}\n`),
    slower.length === 0
      ? ''
      : `${slower.length} of ${comparisons.length} slower by more than ${formatNumber(100 * tolerance)} %\n`,
  ];
  return { text: lines.join(''), isSlower: slower.length > 0 };
}

function isSlower({ verdict, ratio }: Comparison, tolerance: number): boolean {
  return (verdict === 'slower' || verdict === 'unclear') && ratio < 1 - tolerance;
}

/** What else changed: then a ratio says less, or nothing, of Quern. */
function environment(
  before: readonly BenchReport[],
  after: readonly BenchReport[],
): readonly string[] {
  const [was, is] = [before[0], after[0]];
  return was === undefined || is === undefined ? [] : differences(was, is);
}

function namesOf(reports: readonly BenchReport[]): string {
  return reports
    .flatMap(({ model, results }) =>
      results.map(({ test }) => `${model.name} ${model.form} ${test}`),
    )
    .join(', ');
}

/** Tests of only one of the two. */
function uncompared(
  before: readonly BenchReport[],
  after: readonly BenchReport[],
  comparisons: readonly Comparison[],
): readonly string[] {
  const tests = (reports: readonly BenchReport[], when: string): readonly string[] =>
    reports.flatMap(({ model, results }) =>
      results
        .filter(
          ({ tokensPerSecond }) =>
            !comparisons.some(({ a, b }) => a === tokensPerSecond || b === tokensPerSecond),
        )
        .map(({ test }) => `${model.name} ${model.form} ${test} (only ${when})`),
    );
  return [...tests(before, 'before'), ...tests(after, 'now')];
}
