/** What a bar plot shows of reports, without how. @module */
import type { BenchReport, Spread, TestResult } from '../../../src/bench/index.ts';
import { labelsOf } from '../records/naming.ts';

/** What bars can stand for. */
export type Measure = 'decode' | 'prefill' | 'encode' | 'firstToken' | 'load';

/** In the order they are shown in. */
export const MEASURES: readonly Measure[] = ['decode', 'prefill', 'encode', 'firstToken', 'load'];

export const MEASURE_TITLES: Readonly<Record<Measure, string>> = {
  decode: 'Reply (decode)',
  prefill: 'Prompt (prefill)',
  encode: 'Encoding texts',
  firstToken: 'Time to the first token',
  load: 'Loading',
};

/** Bars in groups, a bar of a group for each report that has it. */
export interface BarsData {
  readonly measure: Measure;
  /** Names of the groups. */
  readonly groups: readonly string[];
  /** Of all reports, also of those without bars: their colors and letters are the same in all plots. */
  readonly labels: readonly string[];
  readonly bars: readonly Bar[];
}

/** One value, the range that was measured, and what it could be at most. */
export interface Bar {
  readonly group: string;
  /** Index of the report. */
  readonly report: number;
  readonly median: number;
  /** Missing if it was measured once. */
  readonly range?: { readonly min: number; readonly max: number };
  readonly limit?: number;
}

/** The bars of a measure. */
export function barsData(reports: readonly BenchReport[], measure: Measure): BarsData {
  const bars = reports.flatMap((report, index) =>
    valuesOf(report, measure).map((bar): Bar => ({ ...bar, report: index })),
  );
  const groups = [...new Set(bars.map(({ group }) => group))];
  return { measure, groups, labels: labelsOf(reports), bars };
}

function valuesOf(report: BenchReport, measure: Measure): readonly Omit<Bar, 'report'>[] {
  switch (measure) {
    case 'decode':
    case 'prefill':
    case 'encode':
      return report.results
        .filter(({ kind }) => kind === measure)
        .map(({ test, tokensPerSecond, limit }) => ({
          group: test,
          ...valueOf(tokensPerSecond),
          ...(limit && { limit: limit.tokensPerSecond }),
        }));
    case 'firstToken':
      return report.results.flatMap(({ test, firstTokenMs }: TestResult) =>
        firstTokenMs === undefined ? [] : [{ group: test, ...valueOf(firstTokenMs) }],
      );
    case 'load': {
      const { coldMs, warmMs } = report.load ?? {};
      return [
        ...(coldMs === undefined ? [] : [{ group: 'cold', median: coldMs }]),
        ...(warmMs === undefined ? [] : [{ group: 'warm', median: warmMs }]),
      ];
    }
  }
}

function valueOf({ median, min, max, runs }: Spread): Pick<Bar, 'median' | 'range'> {
  return { median, ...(runs.length > 1 && { range: { min, max } }) };
}
