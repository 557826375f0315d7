import { describe, expect, it } from 'vitest';
import { spreadOf } from '../../../src/bench/statistics.ts';
import type { BenchReport } from '../../../src/bench/report.ts';
import { describeAgainst } from '../../../src/cli/bench_against.ts';

/** A report of one network with so many tokens per second in each run of each test. */
function reportOf(tests: Readonly<Record<string, readonly number[]>>, form = 'q4'): BenchReport {
  return {
    model: { name: 'tiny', form, kind: 'decoder', configuration: {} },
    adapter: { vendor: 'v', architecture: 'a', description: 'd' },
    settings: { repetitions: 3, tokenBudget: 512 },
    results: Object.entries(tests).map(([test, runs]) => ({
      test,
      kind: 'decode',
      tokensPerSecond: spreadOf(runs),
    })),
  } as unknown as BenchReport;
}

describe('describeAgainst', () => {
  const before = [reportOf({ tg16: [100, 104, 96, 100] })];

  it.each([
    { runs: [100, 104, 96, 98], isSlower: false, says: 'same within the spread' },
    { runs: [50, 97, 80], isSlower: false, says: 'same within the spread' },
    { runs: [92, 93, 94, 94], isSlower: false, says: 'slower, within the tolerance' },
    { runs: [89, 88, 87], isSlower: true, says: '1 of 1 slower by more than 10.0 %' },
    { runs: [110, 112, 111, 110], isSlower: false, says: 'faster' },
    { runs: [110, 112, 111], isSlower: false, says: 'unclear' },
    { runs: [95], isSlower: false, says: 'unclear' },
    { runs: [80], isSlower: true, says: '1 of 1 slower by more than 10.0 %' },
  ])('$runs after [100, 104, 96, 100]: $says', ({ runs, isSlower, says }) => {
    const found = describeAgainst(before, [reportOf({ tg16: runs })], 0.1);
    expect(found.isSlower).toBe(isSlower);
    expect(found.text).toContain(says);
  });

  it('accepts what it is told to accept', () => {
    expect(describeAgainst(before, [reportOf({ tg16: [51, 52] })], 0.5).isSlower).toBe(false);
    expect(describeAgainst(before, [reportOf({ tg16: [95, 95] })], 0).isSlower).toBe(true);
  });

  it('names what it cannot compare', () => {
    const after = [reportOf({ tg16: [100, 100, 100], pp8: [1] }), reportOf({ tg16: [9] }, 'f16')];
    const { text, isSlower } = describeAgainst(before, after, 0.1);
    expect(isSlower).toBe(false);
    expect(text).toContain('not compared: tiny q4 pp8 (only now)');
    expect(text).toContain('not compared: tiny f16 tg16 (only now)');
    expect(() => describeAgainst(before, [reportOf({ pp8: [1] })], 0.1)).toThrow(
      'is of tiny q4 tg16, expected some of tiny q4 pp8',
    );
  });

  it('tells what else changed', () => {
    const elsewhere = { ...reportOf({ tg16: [100] }), commit: 'abc' };
    expect(describeAgainst(before, [elsewhere], 0.1).text).toContain('commit: unknown, then abc');
  });
});
