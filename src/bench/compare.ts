import type { BenchReport, TestResult } from './report.ts';
import type { Spread } from './statistics.ts';

/** A test that two reports have in common. */
export interface Comparison {
  readonly model: string;
  readonly form: string;
  readonly test: string;
  /** Tokens per second. */
  readonly a: Spread;
  readonly b: Spread;
  /** Median of b over median of a. */
  readonly ratio: number;
  /**
   * What b is beside a: `faster` or `slower` if no repetition of the one is as fast as any of the other; `unclear` if so,
   * but there are too few of them to say so.
   */
  readonly verdict: 'faster' | 'slower' | 'same within the spread' | 'unclear';
}

/** Compares what two runs measured of the same network in the same form, test by test. */
export function compareReports(
  a: readonly BenchReport[],
  b: readonly BenchReport[],
): readonly Comparison[] {
  return a.flatMap((before) => {
    const after = b.find((report) => isSameModel(before, report));
    if (after === undefined) return [];
    return before.results.flatMap((result) => {
      const other = after.results.find(({ test }) => test === result.test);
      return other === undefined ? [] : [compareResults(before, result, other)];
    });
  });
}

/** What else two reports differ in, in words: settings, device, and what they are made with. */
export function differences(a: BenchReport, b: BenchReport): readonly string[] {
  const [was, is] = [factsOf(a), factsOf(b)];
  return was.flatMap(([name, before], i) => {
    const [, after = 'unknown'] = is[i] ?? [];
    return before === after ? [] : [`${name}: ${before}, then ${after}`];
  });
}

/** What an adapter is called, as far as the browser tells. */
export function adapterName({
  vendor,
  architecture,
  description,
}: Pick<BenchReport['adapter'], 'vendor' | 'architecture' | 'description'>): string {
  if (description !== '') return description;
  return [vendor, architecture].filter((part) => part !== '').join(' ') || 'an unnamed GPU';
}

function compareResults(
  { model }: BenchReport,
  { test, tokensPerSecond: a }: TestResult,
  { tokensPerSecond: b }: TestResult,
): Comparison {
  const ratio = b.median / a.median;
  return { model: model.name, form: model.form, test, a, b, ratio, verdict: verdictOf(a, b) };
}

/** Ranges of four repetitions of the same are apart by chance once in 35 times, those of three once in 10. */
const ENOUGH_REPETITIONS = 4;

function verdictOf(a: Spread, b: Spread): Comparison['verdict'] {
  const isFaster = b.min > a.max;
  const isSlower = b.max < a.min;
  const wereRepeated = a.runs.length > 1 || b.runs.length > 1;
  if (!isFaster && !isSlower && wereRepeated) return 'same within the spread';
  if (Math.min(a.runs.length, b.runs.length) < ENOUGH_REPETITIONS) return 'unclear';
  return isFaster ? 'faster' : 'slower';
}

/** Time depends on sizes, not on numbers: fine-tuned models are the same, wherever their files lie. */
function isSameModel({ model: a }: BenchReport, { model: b }: BenchReport): boolean {
  const isSameNetwork = a.name === b.name || keyOf(a.configuration) === keyOf(b.configuration);
  return isSameNetwork && a.form === b.form && a.kind === b.kind;
}

function keyOf(configuration: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(Object.entries(configuration).toSorted(([x], [y]) => (x < y ? -1 : 1)));
}

/** What speed depends on besides the network. */
function factsOf(report: BenchReport): readonly (readonly [name: string, value: string])[] {
  const { adapter, device, commit, settings } = report;
  return [
    ['adapter', adapterName(adapter)],
    ['runtime', device?.runtime ?? 'unknown'],
    ['commit', commit ?? 'unknown'],
    ['KV cache', settings.kvDtype ?? 'none'],
    ['tokens in a step', `${settings.tokenBudget}`],
    ['repetitions', `${settings.repetitions}`],
  ];
}
