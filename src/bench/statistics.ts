/** A measured number: several runs of the same. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Sample standard deviation; 0 of one run. */
  readonly sd: number;
  /** In the order they were measured. */
  readonly runs: readonly number[];
}

/** Median and spread of at least one run. */
export function spreadOf(runs: readonly number[]): Spread {
  const sorted = runs.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  const mean = runs.reduce((sum, run) => sum + run, 0) / runs.length;
  const squares = runs.reduce((sum, run) => sum + (run - mean) ** 2, 0);
  return {
    median: (lower + upper) / 2,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
    sd: runs.length > 1 ? Math.sqrt(squares / (runs.length - 1)) : 0,
    runs,
  };
}

/** The same in other units. */
export function mapSpread({ runs }: Spread, convert: (run: number) => number): Spread {
  return spreadOf(runs.map(convert));
}
