import { expect, it } from 'vitest';
import { parseTest } from '../../../src/bench/bench_tests.ts';
import {
  measureTest,
  type SubjectBench,
  type TestSetting,
} from '../../../src/bench/measure_test.ts';
import { ProgressMeter } from '../../../src/bench/progress.ts';
import { benchReport } from '../demo/support/bench_reports.ts';

/** Runs take as long as they are said to; the first warms up. */
function measure(
  runsMs: readonly number[],
  setting: Partial<TestSetting> = {},
): ReturnType<typeof measureTest> {
  let run = 0;
  const bench: SubjectBench = {
    run: async () => {
      run += 1;
      return { tokens: 8, ms: runsMs[run - 1] ?? Number.NaN };
    },
    needs: () => ({ tokens: 1, work: { by: 'bandwidth', bytes: 1e9, flops: 2e9 } }),
    lastStep: undefined,
  };
  return measureTest(bench, parseTest('tg8'), {
    device: undefined as never,
    clock: { now: () => 0 },
    signal: undefined,
    repetitions: runsMs.length - 1,
    peaks: benchReport().peaks,
    tickMs: 1,
    profileMs: undefined,
    meter: new ProgressMeter(() => 0, undefined),
    isHidden: undefined,
    ...setting,
  });
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
