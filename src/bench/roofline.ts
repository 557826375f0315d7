/**
 * Where kernels and whole tests stand under what a device can do at most (Williams, Waterman and Patterson, "Roofline",
 * 2009): with I operations for each byte from memory, at most min(FMA, I · BW) operations per second.
 *
 * @module
 */
import { formatNumber, formatShare } from '../util/format.ts';
import { parseTest } from './bench_tests.ts';
import type { Peaks } from './peaks.ts';
import type { KernelProfile } from './profile.ts';
import type { BenchReport, TestResult } from './report.ts';

/** What is measured of a device: medians of {@link Peaks}. */
export interface Ceilings {
  /** The slope. */
  readonly readGigabytesPerSecond: number;
  readonly f32GigaflopsPerSecond: number;
  readonly f16GigaflopsPerSecond?: number;
  /** GPU time of a dispatch that does nothing: no kernel takes less. */
  readonly dispatchUs: number;
  readonly roundTripUs: number;
}

/** A kernel of a test, or the test as a whole. */
export interface RooflinePoint {
  readonly kind: 'kernel' | 'model';
  /** Of the kernel with its form, or of the test. */
  readonly name: string;
  readonly test: string;
  /** 0 of kernels that only move bytes, which have no place on a logarithmic axis. */
  readonly flopsPerByte: number;
  readonly gigaflopsPerSecond: number;
  readonly gigabytesPerSecond: number;
  /** Of the time of the step's kernels; 1 of a whole test. */
  readonly share: number;
  /** Of what the roofline allows at this point, 0 to 1, and more where caches help. */
  readonly ofLimit: number;
  /** How {@link ofLimit} follows from the numbers. */
  readonly formula: string;
}

/** A report's roofline. */
export interface Roofline {
  readonly ceilings: Ceilings;
  readonly points: readonly RooflinePoint[];
  /** How the limit of each test follows from the ceilings: {@link limitFormula}. */
  readonly formulas: readonly { readonly test: string; readonly text: string }[];
}

/** The roofline of a report; undefined if its ceilings were not measured. */
export function rooflineOf({ peaks, results }: BenchReport): Roofline | undefined {
  if (peaks === null) return undefined;
  const f16 = peaks.f16GigaflopsPerSecond;
  const ceilings: Ceilings = {
    readGigabytesPerSecond: peaks.readGigabytesPerSecond.median,
    f32GigaflopsPerSecond: peaks.f32GigaflopsPerSecond.median,
    ...(f16 && { f16GigaflopsPerSecond: f16.median }),
    dispatchUs: peaks.dispatchUs.median,
    roundTripUs: peaks.roundTripUs.median,
  };
  return {
    ceilings,
    points: results.flatMap((result) => [
      ...modelPoint(result, ceilings),
      ...(result.profile?.kernels ?? []).map((kernel) =>
        kernelPoint(result.test, kernel, ceilings),
      ),
    ]),
    formulas: results.flatMap((result) => {
      const text = limitFormula(result, peaks);
      return text === undefined ? [] : [{ test: result.test, text }];
    }),
  };
}

/** How the limit of a test follows from the ceilings, with the numbers put in; undefined if it has none. */
export function limitFormula(
  { test, limit, work, stepBytes, flops, tokensPerSecond }: TestResult,
  peaks: Peaks,
): string | undefined {
  if (limit === undefined) return undefined;
  const parsed = parseTest(test);
  const reached = `reached: ${formatNumber(tokensPerSecond.median)} tokens/s, ${formatShare(limit.share)} of it`;
  const most = `${formatNumber(limit.tokensPerSecond)} tokens/s`;
  const bytes = stepBytes ?? work?.bytes;
  if (limit.by === 'bandwidth' && bytes !== undefined) {
    const streams = parsed.kind === 'decode' ? parsed.streams : 1;
    const bandwidth = formatNumber(peaks.readGigabytesPerSecond.median);
    return [
      'tokens/s ≤ streams · BW / (W + KV)',
      `= ${streams} · ${bandwidth} GB/s / ${formatNumber(bytes / 1e9)} GB = ${most}`,
      'BW: measured reads of this device. W + KV: bytes of the weights that a step reads, and of its keys and values',
      reached,
    ].join('\n');
  }
  const operations = flops ?? work?.flops;
  if (operations === undefined) return undefined;
  const fma = formatNumber(peaks.f32GigaflopsPerSecond.median);
  const tokens = work?.tokens ?? (parsed.kind === 'encode' ? parsed.texts : 1) * parsed.tokens;
  const pairs = parsed.kind === 'encode' ? '4 · L · H · K · T²' : '2 · L · H · K · T²';
  return [
    `tokens/s ≤ FMA · T / FLOP, FLOP = 2 · P · T + ${pairs}`,
    `= ${fma} GFLOP/s · ${tokens} / ${formatNumber(operations / 1e9)} GFLOP = ${most}`,
    'FMA: measured f32 arithmetic of this device. P: weights that every token is multiplied with; L, H, K: layers, heads, size of a head',
    reached,
  ].join('\n');
}

function modelPoint(
  { test, work, tokensPerSecond }: TestResult,
  ceilings: Ceilings,
): readonly RooflinePoint[] {
  if (work === undefined) return [];
  const perSecond = tokensPerSecond.median / work.tokens / 1e9;
  const at = place(work, work.flops * perSecond, work.bytes * perSecond, ceilings);
  return [{ kind: 'model', name: test, test, share: 1, ...at }];
}

function kernelPoint(test: string, kernel: KernelProfile, ceilings: Ceilings): RooflinePoint {
  const { name, label, share, gigaflopsPerSecond, gigabytesPerSecond } = kernel;
  const at = place(kernel, gigaflopsPerSecond, gigabytesPerSecond, ceilings);
  return { kind: 'kernel', name: `${name} ${label}`.trimEnd(), test, share, ...at };
}

/** Where work of so many bytes and operations stands that ran at these rates. */
function place(
  { bytes, flops }: { readonly bytes: number; readonly flops: number },
  gigaflopsPerSecond: number,
  gigabytesPerSecond: number,
  { readGigabytesPerSecond: bandwidth, f32GigaflopsPerSecond: fma }: Ceilings,
): Omit<RooflinePoint, 'kind' | 'name' | 'test' | 'share'> {
  const flopsPerByte = flops === 0 ? 0 : flops / bytes;
  const roof = Math.min(fma, flopsPerByte * bandwidth);
  const isMoving = flops === 0;
  const ofLimit = isMoving ? gigabytesPerSecond / bandwidth : gigaflopsPerSecond / roof;
  const [intensity, slope] = [formatNumber(flopsPerByte), formatNumber(bandwidth)];
  const formula = isMoving
    ? `${formatNumber(gigabytesPerSecond)} GB/s of ${slope} GB/s: it moves bytes and computes nothing`
    : `${formatNumber(gigaflopsPerSecond)} GFLOP/s of min(${formatNumber(fma)} GFLOP/s, ${intensity} FLOP/B · ${slope} GB/s) = ${formatNumber(roof)} GFLOP/s`;
  return { flopsPerByte, gigaflopsPerSecond, gigabytesPerSecond, ofLimit, formula };
}
