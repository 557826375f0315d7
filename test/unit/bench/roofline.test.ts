import { describe, expect, it } from 'vitest';
import { limitFormula, rooflineOf } from '../../../src/bench/roofline.ts';
import { benchReport } from '../demo/support/bench_reports.ts';

describe('rooflineOf', () => {
  it('places tests and kernels under the measured ceilings', () => {
    const roofline = rooflineOf(benchReport());
    expect(roofline?.ceilings).toEqual({
      readGigabytesPerSecond: 100,
      f32GigaflopsPerSecond: 3000,
      f16GigaflopsPerSecond: 5200,
      dispatchUs: 3,
      roundTripUs: 800,
    });
    const points = roofline?.points ?? [];
    const decode = points.find(({ kind, name }) => kind === 'model' && name === 'tg128');
    // 2.7e8 operations on 8e7 bytes, 400 times a second: below 100 GB/s · 3.375 FLOP/B.
    expect(decode?.flopsPerByte).toBeCloseTo(3.375, 9);
    expect(decode?.gigaflopsPerSecond).toBeCloseTo(108, 9);
    expect(decode?.ofLimit).toBeCloseTo(108 / 337.5, 9);
    const prefill = points.find(({ kind, name }) => kind === 'model' && name === 'pp512');
    expect(prefill?.ofLimit).toBeCloseTo(((4300 / 512) * 1.2e11) / 3e12, 9);
  });

  it('holds kernels without operations against the bandwidth', () => {
    const points = rooflineOf(benchReport())?.points ?? [];
    const gather = points.find(({ name }) => name === 'gather_rows');
    expect(gather).toMatchObject({ kind: 'kernel', test: 'tg128', flopsPerByte: 0 });
    expect(gather?.ofLimit).toBeCloseTo((gather?.gigabytesPerSecond ?? 0) / 100, 12);
    expect(gather?.formula).toContain('computes nothing');
    for (const { ofLimit } of points) expect(ofLimit).toBeGreaterThan(0);
  });

  it('is none without ceilings', () => {
    expect(rooflineOf(benchReport({ hasPeaks: false }))).toBeUndefined();
  });
});

it('puts the numbers into the formulas of limits', () => {
  const { peaks, results } = benchReport();
  if (peaks === null) throw new Error('no ceilings');
  const [prefill, decode] = results.map((result) => limitFormula(result, peaks));
  expect(prefill).toContain('= 3000 GFLOP/s · 512 / 120 GFLOP = 12800 tokens/s');
  expect(decode).toContain('= 1 · 100 GB/s / 0.0800 GB = 1250 tokens/s');
  expect(decode).toContain('reached: 400 tokens/s, 32.0 % of it');
  expect(rooflineOf(benchReport())?.formulas.map(({ test }) => test)).toEqual(['pp512', 'tg128']);
});
