import { expect, it } from 'vitest';
import { parseTest, testName } from '../../../src/bench/bench_tests.ts';
import {
  measureTests,
  type SubjectBench,
  type TestSetting,
} from '../../../src/bench/measure_test.ts';
import { ProgressMeter } from '../../../src/bench/progress.ts';
import { benchReport } from '../demo/support/bench_reports.ts';

interface Measured {
  readonly tests: Awaited<ReturnType<typeof measureTests>>;
  /** Names of the tests in the order they were run in. */
  readonly order: readonly string[];
}

/** Runs take as long as they are said to, whichever test they are of. */
async function measureAll(
  names: readonly string[],
  runsMs: readonly number[],
  setting: Partial<TestSetting>,
): Promise<Measured> {
  let nowMs = 0;
  const order: string[] = [];
  const bench: SubjectBench = {
    run: async (test) => {
      const ms = runsMs[order.length] ?? Number.NaN;
      order.push(testName(test));
      nowMs += ms;
      return { tokens: 8, ms, firstTokenMs: ms / 2 };
    },
    needs: () => ({ tokens: 1, work: { by: 'bandwidth', bytes: 1e9, flops: 2e9 } }),
    lastStep: undefined,
  };
  const tests = await measureTests(bench, names.map(parseTest), {
    device: undefined as never,
    clock: { now: () => nowMs },
    signal: undefined,
    repetitions: 1,
    leastMs: 0,
    peaks: benchReport().peaks,
    tickMs: 1,
    profileMs: undefined,
    meter: new ProgressMeter(() => 0, undefined),
    isHidden: undefined,
    ...setting,
  });
  return { tests, order };
}

/** One test; the first run warms up. */
async function measure(
  runsMs: readonly number[],
  setting: Partial<TestSetting> = {},
): Promise<Measured['tests'][number]> {
  const { tests } = await measureAll(['tg8'], runsMs, {
    repetitions: runsMs.length - 1,
    ...setting,
  });
  const [test] = tests;
  if (test === undefined) throw new Error('no test was measured');
  return test;
}

it('leaves out the run that warms up, and holds the rest against the limit', async () => {
  const { result, evidence } = await measure([900, 100, 80, 200]);
  expect(result.tokensPerSecond.runs).toEqual([80, 100, 40]);
  expect(evidence).toEqual({ leastMs: 80, wasHidden: false });
  // 1 GB at 100 GB/s: 100 tokens/s at most.
  expect(result).toMatchObject({
    limit: { by: 'bandwidth', tokensPerSecond: 100, share: 0.8 },
    stepBytes: 1e9,
    gigabytesPerSecond: 80,
    work: { tokens: 1, bytes: 1e9, flops: 2e9 },
  });
  expect(result).not.toHaveProperty('flops');
});

it('runs a short test several times in a repetition, and warms up for as long', async () => {
  const runsMs = [10, 10, 10, 5, 15, 10, 40, 30];
  const { result, evidence } = await measure(runsMs, { repetitions: 3, leastMs: 30 });
  // Three runs to warm up, 5 + 15 + 10 ms, 40 ms, 30 ms.
  expect(result.tokensPerSecond.runs).toEqual([800, 200, 8000 / 30]);
  expect(result.firstTokenMs?.runs).toEqual([5, 20, 15]);
  expect(evidence.leastMs).toBe(30);
});

it('has tests take turns', async () => {
  const { tests, order } = await measureAll(['tg8', 'pp4'], [1, 1, 2, 4, 8, 16], {
    repetitions: 2,
  });
  expect(order).toEqual(['tg8', 'pp4', 'tg8', 'pp4', 'tg8', 'pp4']);
  expect(tests.map(({ result }) => [result.test, result.tokensPerSecond.runs])).toEqual([
    ['tg8', [4000, 1000]],
    ['pp4', [2000, 500]],
  ]);
});

it('measures tests at a depth by themselves: other prompts would drive out what lies before them', async () => {
  const names = ['tg8@d64', 'pp4', 'tg8', 'pp4@d32'];
  const { tests, order } = await measureAll(names, Array<number>(8).fill(1), {});
  expect(order).toEqual(['pp4', 'tg8', 'pp4', 'tg8', 'tg8@d64', 'tg8@d64', 'pp4@d32', 'pp4@d32']);
  expect(tests.map(({ result }) => result.test)).toEqual(names);
});

it('has finite rates also where the clock saw no time', async () => {
  const { result, evidence } = await measure([0, 0, 2], { peaks: null });
  expect(result.tokensPerSecond.runs).toEqual([8000, 4000]);
  expect(evidence.leastMs).toBe(0);
  expect(result).not.toHaveProperty('limit');
});

it('remembers that the page was hidden during a repetition, not before it or while warming up', async () => {
  const wasHidden = async (answers: readonly boolean[]): Promise<boolean> => {
    let asked = 0;
    const isHidden = (): boolean => {
      asked += 1;
      return answers[asked - 1] ?? false;
    };
    return (await measure([1, 1, 1], { isHidden })).evidence.wasHidden;
  };
  // Asked before the run that warms up, then before and after each repetition.
  expect(await wasHidden([true, true, false, true, false])).toBe(false);
  expect(await wasHidden([false, false, true, false, false])).toBe(true);
  expect(await wasHidden([false, false, false, false, true])).toBe(true);
});
