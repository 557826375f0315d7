/** What of a measurement cannot be trusted, and why. @module */
import { formatNumber, formatShare } from '../util/format.ts';
import type { DeviceReport } from './device_report.ts';
import type { Peaks } from './peaks.ts';
import type { BenchReport, TestResult } from './report.ts';
import type { Spread } from './statistics.ts';

/** Reason not to trust a figure. */
export interface Doubt {
  readonly kind: DoubtKind;
  /** The test in question; absent: all of the run. */
  readonly test?: string;
  /** In plain words, with the numbers. */
  readonly message: string;
}

/**
 * - `software-adapter`: there is no GPU
 * - `background`: the page was hidden meanwhile
 * - `coarse-timer`: the clock's steps are too large for what was timed
 * - `drift`: each repetition is slower, or faster, than the one before
 * - `busy`: other work on the device
 * - `spread`: repetitions differ so much that their median means little, or there is but one
 */
export type DoubtKind =
  | 'software-adapter'
  | 'background'
  | 'coarse-timer'
  | 'drift'
  | 'busy'
  | 'spread';

/** What doubts are looked for in. */
export interface Evidence extends Pick<BenchReport, 'peaks'> {
  readonly peaksAfter: BenchReport['peaksAfter'] | undefined;
  readonly device: DeviceReport;
  readonly results: readonly TestResult[];
  /** Shortest repetition of each test in milliseconds, and whether the page was hidden in any. */
  readonly runs: ReadonlyMap<string, { readonly leastMs: number; readonly wasHidden: boolean }>;
}

/** Largest share of a measurement that one step of the clock may be. */
const TICK_SHARE = 0.02;
/** Where a single short time is read, such as that to the first token. */
const SHORT_TICK_SHARE = 0.1;
/** Least change over all repetitions that is worth telling. */
const DRIFT = 0.05;
/**
 * Two-sided 98 % quantiles of Student's t for 1, 2, … degrees of freedom (then that of the normal distribution): a trend
 * of this size comes by chance once in fifty.
 */
const T_98 = [31.82, 6.965, 4.541, 3.747, 3.365, 3.143, 2.998, 2.896, 2.821, 2.764];
const T_98_MANY = 2.326;
/** A repetition so much slower than the median stands out, if the others are within a quarter of that. */
const OUTLIER = 0.2;
/** Ceilings that changed by more than this, and whose repetitions do not overlap. */
const CHANGED_CEILING = 0.1;
/** Share of a limit that is more than what measuring it errs by. */
const BEYOND = 1.1;
/** Bytes that some cache may hold, so that reading them again may be faster than memory is. */
const CACHED_BYTES = 256 * 2 ** 20;
/** Standard deviation over median from which a median means little. */
const WIDE = 0.1;

/** All doubts about a run, those about all of it first. */
export function findDoubts(evidence: Evidence): readonly Doubt[] {
  const { device, peaks, peaksAfter, results, runs } = evidence;
  const { isSoftware, description, architecture, timerTickMs: tick } = device;
  const doubts: Doubt[] = [];
  if (isSoftware) {
    const name = [description, architecture].find((known) => known !== '') ?? 'the adapter';
    const message = `${name} computes on the processor: these are times of its cores, and say nothing of any GPU`;
    doubts.push({ kind: 'software-adapter', message });
  }
  if (peaks !== null && tick * 1000 > SHORT_TICK_SHARE * peaks.roundTripUs.median) {
    const message = `the clock's steps are ${formatNumber(tick * 1000)} µs, too large to tell a read-back of about ${formatNumber(peaks.roundTripUs.median)} µs`;
    doubts.push({ kind: 'coarse-timer', message });
  }
  if (peaks !== null && peaksAfter !== undefined)
    doubts.push(...changedCeilings(peaks, peaksAfter));
  for (const result of results) doubts.push(...doubtsOfTest(result, tick, runs.get(result.test)));
  return doubts;
}

function doubtsOfTest(
  { test, tokensPerSecond, firstTokenMs, limit, stepBytes = Infinity }: TestResult,
  tick: number,
  run: { readonly leastMs: number; readonly wasHidden: boolean } | undefined,
): readonly Doubt[] {
  const doubts: Doubt[] = [];
  if (run?.wasHidden === true) {
    const message = 'the page was hidden meanwhile, and browsers give hidden pages less time';
    doubts.push({ kind: 'background', test, message });
  }
  if (run !== undefined && tick > TICK_SHARE * run.leastMs) {
    const message = `a repetition took ${formatNumber(run.leastMs)} ms, and the clock's steps are ${formatNumber(tick)} ms; measure more tokens`;
    doubts.push({ kind: 'coarse-timer', test, message });
  } else if (firstTokenMs !== undefined && tick > SHORT_TICK_SHARE * firstTokenMs.median) {
    const message = `the first token took ${formatNumber(firstTokenMs.median)} ms, and the clock's steps are ${formatNumber(tick)} ms`;
    doubts.push({ kind: 'coarse-timer', test, message });
  }
  const mayBeCached = limit?.by === 'bandwidth' && stepBytes <= CACHED_BYTES;
  if (limit !== undefined && limit.share > BEYOND && !mayBeCached) {
    const message = `came to ${formatShare(limit.share)} of the limit: other work was on the device when its ceilings were measured`;
    doubts.push({ kind: 'busy', test, message });
  }
  const unsteady = doubtOfRuns(tokensPerSecond);
  if (unsteady !== undefined) doubts.push({ ...unsteady, test });
  return doubts;
}

/** The most telling thing about how repetitions differ. */
export function doubtOfRuns(rates: Spread): Pick<Doubt, 'kind' | 'message'> | undefined {
  const { runs, median, min, max, sd } = rates;
  if (runs.length === 1) {
    return { kind: 'spread', message: 'measured once: nothing is known of the spread' };
  }
  const change = trendOf(runs);
  if (Math.abs(change) >= DRIFT) {
    const [share, many] = [formatShare(Math.abs(change)), `${runs.length} repetitions`];
    const message =
      change < 0
        ? `became ${share} slower over ${many}: the device was throttled, as when it is hot, or saved power`
        : `became ${share} faster over ${many}: the device was still speeding up; measure more repetitions`;
    return { kind: 'drift', message };
  }
  if (hasOutlier(rates)) {
    const message = `one of ${runs.length} repetitions came to ${formatNumber(min)} tokens/s where the others were near ${formatNumber(median)}: something else used the device`;
    return { kind: 'busy', message };
  }
  if (sd <= WIDE * median) return undefined;
  const message = `repetitions are between ${formatNumber(min)} and ${formatNumber(max)} tokens/s: the median of ${formatNumber(median)} means little`;
  return { kind: 'spread', message };
}

/**
 * Change over all runs, relative to their mean, if a straight line through them is more than chance: Student's t of its
 * slope. 0 if it is not, or there are fewer than three.
 */
export function trendOf(runs: readonly number[]): number {
  const count = runs.length;
  if (count < 3) return 0;
  const mean = runs.reduce((sum, run) => sum + run, 0) / count;
  const middle = (count - 1) / 2;
  const [sxx, sxy] = runs.reduce(
    ([xx, xy], run, i) => [xx + (i - middle) ** 2, xy + (i - middle) * (run - mean)],
    [0, 0],
  );
  const slope = sxy / sxx;
  const squares = runs.reduce((sum, run, i) => sum + (run - mean - slope * (i - middle)) ** 2, 0);
  const error = Math.sqrt(squares / (count - 2) / sxx);
  const isChance = Math.abs(slope) <= (T_98[count - 3] ?? T_98_MANY) * error;
  return isChance || mean === 0 ? 0 : (slope * (count - 1)) / mean;
}

/** Whether one run alone is far slower than the others are apart. */
function hasOutlier({ runs, median, min }: Spread): boolean {
  if (runs.length < 4) return false;
  const others = runs.toSorted((a, b) => a - b).slice(1);
  const apart = (others.at(-1) ?? 0) - (others[0] ?? 0);
  return median - min > OUTLIER * median && median - min > 4 * apart;
}

function changedCeilings(
  before: Peaks,
  after: NonNullable<BenchReport['peaksAfter']>,
): readonly Doubt[] {
  const names = {
    readGigabytesPerSecond: ['reads', 'GB/s'],
    f32GigaflopsPerSecond: ['computes', 'GFLOP/s'],
  } as const;
  return (['readGigabytesPerSecond', 'f32GigaflopsPerSecond'] as const).flatMap((key) => {
    const [verb, unit] = names[key];
    const [was, is] = [before[key], after[key]];
    const isApart = was.max < is.min || is.max < was.min;
    if (!isApart || Math.abs(is.median / was.median - 1) <= CHANGED_CEILING) return [];
    const message = `the device ${verb} ${formatNumber(is.median)} ${unit} after the tests and ${formatNumber(was.median)} before: other work was on it, or its speed changed`;
    return [{ kind: 'busy', message }];
  });
}
