import { describe, expect, it } from 'vitest';
import { doubtOfRuns, findDoubts, trendOf, type Evidence } from '../../../src/bench/doubts.ts';
import { mapSpread, spreadOf } from '../../../src/bench/statistics.ts';
import { benchReport } from '../demo/support/bench_reports.ts';

const DEVICE = {
  vendor: 'test',
  architecture: '',
  device: '',
  description: '',
  isSoftware: false,
  features: [],
  languageFeatures: [],
  limits: {},
  used: { features: [], limits: {} },
  timerTickMs: 0.005,
  runtime: '',
};

function evidence(changes: Partial<Evidence> = {}): Evidence {
  const { peaks, results } = benchReport();
  const runs = new Map(results.map(({ test }) => [test, { leastMs: 300, wasHidden: false }]));
  return { device: DEVICE, peaks, peaksAfter: peaks ?? undefined, results, runs, ...changes };
}

describe('trendOf', () => {
  it('is the change over all runs', () => {
    expect(trendOf([100, 97.5, 95.1, 92.4, 90])).toBeCloseTo(-10 / 95, 2);
    expect(trendOf([10, 20, 30])).toBeCloseTo(1, 9);
  });

  it.each([
    ['noise', [100, 94, 103, 97, 101]],
    ['a line by chance', [100, 99, 97.5]],
    ['one outlier at the end', [100, 100.5, 99.8, 100.1, 80]],
    ['two runs', [100, 50]],
    ['nothing', [0, 0, 0]],
  ])('is 0 of %s', (_, runs) => {
    expect(trendOf(runs)).toBe(0);
  });

  it('takes noise for a trend once in fifty', () => {
    let state = 7;
    const random = (): number => {
      state = (state * 48_271) % 2_147_483_647;
      return state / 2_147_483_647;
    };
    // Nearly normal: the sum of twelve.
    const normal = (): number => Array.from({ length: 12 }, random).reduce((a, b) => a + b, -6);
    const found = Array.from({ length: 4000 }, () =>
      trendOf(Array.from({ length: 5 }, () => 100 + normal())),
    ).filter((trend) => trend !== 0).length;
    expect(found / 4000).toBeGreaterThan(0.012);
    expect(found / 4000).toBeLessThan(0.028);
  });
});

describe('doubtOfRuns', () => {
  it.each([
    [[100, 101, 99, 100, 100], undefined],
    [[100, 96, 92, 88, 84], 'drift'],
    [[84, 88, 92, 96, 100], 'drift'],
    // A steady change that nobody would notice.
    [[100, 99.5, 99, 98.5, 98], undefined],
    [[100, 101, 60, 100, 99], 'busy'],
    [[100, 70, 130, 90, 110], 'spread'],
    [[100], 'spread'],
  ])('%j: %s', (runs, kind) => {
    expect(doubtOfRuns(spreadOf(runs))?.kind).toBe(kind);
  });

  it('says what was seen', () => {
    expect(doubtOfRuns(spreadOf([100, 96, 92, 88, 84]))?.message).toBe(
      'became 17.4 % slower over 5 repetitions: the device was throttled, as when it is hot, or saved power',
    );
    expect(doubtOfRuns(spreadOf([100, 101, 60, 100, 99]))?.message).toContain('came to 60.0');
  });
});

describe('findDoubts', () => {
  it('has none of a steady run', () => {
    expect(findDoubts(evidence())).toEqual([]);
  });

  it('names software adapters', () => {
    const device = { ...DEVICE, isSoftware: true, description: 'llvmpipe' };
    expect(findDoubts(evidence({ device }))).toEqual([
      { kind: 'software-adapter', message: expect.stringContaining('llvmpipe computes on') },
    ]);
  });

  it('names the tests while which the page was hidden', () => {
    const runs = new Map([['tg128', { leastMs: 300, wasHidden: true }]]);
    expect(findDoubts(evidence({ runs }))).toEqual([
      { kind: 'background', test: 'tg128', message: expect.any(String) },
    ]);
  });

  it('holds the clock against what was timed', () => {
    const kinds = (timerTickMs: number): readonly string[] =>
      findDoubts(evidence({ device: { ...DEVICE, timerTickMs } })).map(
        ({ kind, test = '', message }) => `${kind} ${test} ${message.split(',')[0]}`,
      );
    // A read-back takes 0.8 ms, the first token of tg128 9 ms, a repetition 300 ms.
    expect(kinds(0.05)).toEqual([]);
    expect(kinds(0.1)).toHaveLength(1);
    expect(kinds(1)).toEqual([
      "coarse-timer  the clock's steps are 1000 µs",
      'coarse-timer tg128 the first token took 9.00 ms',
    ]);
    expect(kinds(16)[1]).toBe('coarse-timer pp512 a repetition took 300 ms');
  });

  it('believes no share of a limit that nothing can reach', () => {
    const found = (share: number, by: 'bandwidth' | 'arithmetic', stepBytes?: number): boolean => {
      const results = benchReport().results.map((result) => ({
        ...result,
        limit: { by, tokensPerSecond: 1, share },
        ...(stepBytes !== undefined && { stepBytes }),
      }));
      return findDoubts(evidence({ results })).some(({ message }) => message.includes('the limit'));
    };
    expect(found(1.05, 'arithmetic')).toBe(false);
    expect(found(1.5, 'arithmetic')).toBe(true);
    expect(found(1.5, 'bandwidth', 2 ** 30)).toBe(true);
    // What lies in a cache is read faster than memory.
    expect(found(1.5, 'bandwidth', 2 ** 20)).toBe(false);
  });

  it('compares the ceilings before and after', () => {
    const { peaks } = benchReport();
    if (peaks === null) throw new Error('no ceilings');
    const after = (factor: number): readonly string[] => {
      const f32GigaflopsPerSecond = mapSpread(peaks.f32GigaflopsPerSecond, (x) => x * factor);
      const peaksAfter = { ...peaks, f32GigaflopsPerSecond };
      return findDoubts(evidence({ peaksAfter })).map(({ kind, message }) => `${kind}: ${message}`);
    };
    expect(after(0.93)).toEqual([]);
    expect(after(0.6)).toEqual([
      'busy: the device computes 1800 GFLOP/s after the tests and 3000 before: other work was on it, or its speed changed',
    ]);
    expect(after(1.5)).toHaveLength(1);
  });
});
