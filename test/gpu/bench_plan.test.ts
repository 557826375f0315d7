import { beforeAll, expect, it, type TestContext } from 'vitest';
import {
  deviceMarkdown,
  parseReports,
  readDevice,
  reportSet,
  rooflineOf,
  runPlan,
  type BenchOutcome,
  type BenchPlan,
  type PlanProgress,
} from '../../src/bench/index.ts';
import { RequestError } from '../../src/util/errors.ts';
import { openTestGpu, TEST_ADAPTERS } from '../support/adapters.ts';

const CLOCK = { now: (): number => performance.now() };
const TINY = { model: 'tiny', weights: 'q4' } as const;
const PLAN: BenchPlan = { targets: [TINY], tests: ['tg8'], repetitions: 2, profiles: false };
const NOTHING = { bytes: 0, devices: 0 };

// What is measured is the same on every adapter, if not how fast it is: one is enough.
const [adapter = 'default'] = TEST_ADAPTERS;
let opened: GPU | string;
beforeAll(async () => {
  opened = await openTestGpu(adapter);
});

function optionsOf(context: TestContext) {
  const gpu = typeof opened === 'string' ? context.skip(opened) : opened;
  const quick = { selfTest: 'never', tune: 'never', tokenBudget: 8 } as const;
  return { gpu, clock: CLOCK, bundled: 'https://example.invalid/', ...quick };
}

it('measures a plan: loads, memory, ceilings before and after, what to doubt', async (context) => {
  const told: PlanProgress[] = [];
  const options = {
    ...optionsOf(context),
    runtime: 'a test',
    isHidden: () => true,
    pageMemory: async () => ({ bytes: told.length, of: 'heap' }) as const,
    onBench: (progress: PlanProgress) => void told.push(progress),
  };
  const outcomes: BenchOutcome[] = [];
  for await (const outcome of runPlan({ ...PLAN, tests: ['tg8', 'enc8'] }, options)) {
    outcomes.push(outcome);
  }
  const [outcome] = outcomes;
  if (outcome?.kind !== 'done') throw outcome?.kind === 'failed' ? outcome.error : new Error();
  const { report, left } = outcome;
  expect([outcomes.length, left]).toEqual([1, NOTHING]);
  expect(report.results.map(({ test }) => test)).toEqual(['tg8']);
  expect(report.load?.coldMs).toBeGreaterThan(0);
  expect(report.load?.warmMs).toBeGreaterThan(0);
  // The buffer that bandwidth is measured with is no part of it.
  expect(report.memory.peakBytes).toBeGreaterThanOrEqual(report.memory.total);
  expect(report.memory.peakBytes).toBeLessThan(2 ** 26);
  expect(report.memory.pageBytes).toMatchObject({ of: 'heap', peak: expect.any(Number) });
  expect(report.device).toMatchObject({ runtime: 'a test', isSoftware: report.adapter.isSoftware });
  expect(report.device?.limits['maxBufferSize']).toBeGreaterThan(0);
  expect(report.peaksAfter?.readGigabytesPerSecond.runs).toHaveLength(3);
  const kinds = new Set(report.doubts.map(({ kind }) => kind));
  expect([...kinds]).toContain('background');
  expect(kinds.has('software-adapter')).toBe(report.adapter.isSoftware);

  // A step of one token: every weight of the layers and the head, twice, and attention to the tokens before.
  const [result] = report.results;
  const weights = 2 * (128 * 256 + 128 * 128 + 3 * 128 * 352) + 1024 * 128;
  expect(result?.work?.tokens).toBe(1);
  expect(result?.work?.flops).toBeGreaterThanOrEqual(2 * weights);
  expect(result?.work?.flops).toBeLessThan(2.1 * weights);
  expect(result?.work?.bytes).toBe(result?.stepBytes);
  const [point] = rooflineOf(report)?.points ?? [];
  expect(point?.ofLimit).toBeCloseTo(result?.limit?.share ?? 0, 9);
  expect(parseReports(JSON.stringify(reportSet([report])))).toEqual([report]);

  const fractions = told.map(({ fraction }) => fraction);
  expect(fractions).toEqual(fractions.toSorted((a, b) => a - b));
  expect(told.find(({ phase, done }) => phase === 'test' && done === 1)?.leftMs).toBeGreaterThan(0);
  expect(new Set(told.map(({ phase }) => phase))).toEqual(
    new Set(['load', 'peaks', 'test', 'check', 'reload']),
  );
});

it('goes on after what fails, stops when aborted, and leaves no GPU memory behind', async (context) => {
  const abort = new AbortController();
  const plan: BenchPlan = {
    ...PLAN,
    targets: [{ model: 'no model', weights: 'auto' }, TINY, { ...TINY, weights: 'q8' }, TINY],
  };
  const outcomes: BenchOutcome[] = [];
  const options = {
    ...optionsOf(context),
    measuresPeaks: false,
    loadsAgain: false,
    signal: abort.signal,
    onBench({ index, phase, done }: PlanProgress) {
      if (index === 2 && phase === 'test' && done === 1) abort.abort();
    },
  };
  for await (const outcome of runPlan(plan, options)) outcomes.push(outcome);
  expect(outcomes.map(({ kind, left }) => [kind, left])).toEqual([
    ['failed', NOTHING],
    ['done', NOTHING],
    ['aborted', NOTHING],
  ]);
  const [failed] = outcomes;
  expect(failed?.kind === 'failed' && failed.error).toBeInstanceOf(RequestError);
  // While a model is loaded, too.
  const loading = new AbortController();
  const signal = loading.signal;
  const onBench = ({ load }: PlanProgress): void => {
    if (load?.phase === 'compile') loading.abort();
  };
  for await (const outcome of runPlan(PLAN, { ...options, selfTest: 'always', signal, onBench })) {
    expect([outcome.kind, outcome.left]).toEqual(['aborted', NOTHING]);
  }
});

it('describes the device without measuring anything', async (context) => {
  const { gpu } = optionsOf(context);
  const device = await readDevice(gpu, CLOCK, 'a test');
  expect(device.features).toEqual(expect.arrayContaining([...device.used.features]));
  expect(device.languageFeatures.length).toBeGreaterThan(0);
  expect(device.timerTickMs).toBeGreaterThan(0);
  expect(device.timerTickMs).toBeLessThan(0.1);
  const text = deviceMarkdown({ adapter: device, device });
  expect(text).toMatch(/\| limits \| .*maxBufferSize \d+/);
});
