import type { Device } from '../gpu/device.ts';
import type { Clock } from '../gpu/stopwatch.ts';
import { testName, type BenchTest } from './bench_tests.ts';
import type { Calls } from './count_calls.ts';
import { EncoderBench } from './encoder_bench.ts';
import { GenerationBench, type TestNeeds, type TestRun } from './generation_bench.ts';
import type { BenchSubject } from './open_model.ts';
import type { Peaks } from './peaks.ts';
import { profileRecording } from './profile.ts';
import type { ProgressMeter } from './progress.ts';
import type { TestResult } from './report.ts';
import { spreadOf } from './statistics.ts';

/** Runs tests of a model. */
export interface SubjectBench {
  run(test: BenchTest): Promise<TestRun>;
  needs(test: BenchTest): TestNeeds;
  readonly lastStep: GenerationBench['lastStep'];
}

/** What runs the tests of a model. @param calls - what its device was asked so far; live */
export function benchOf(
  subject: BenchSubject,
  clock: Clock,
  calls: Readonly<Calls>,
  signal: AbortSignal | undefined,
): SubjectBench {
  if (subject.kind !== 'encoder') return new GenerationBench(subject, clock, calls, signal);
  return new EncoderBench(subject, clock, signal);
}

/** How a test is measured. */
export interface TestSetting {
  readonly device: Device;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
  readonly repetitions: number;
  /** Least time of a repetition. */
  readonly leastMs: number;
  readonly peaks: Peaks | null;
  /** Smallest step of the clock. */
  readonly tickMs: number;
  /** Least time of a measurement of each kernel; undefined: kernels are not measured. */
  readonly profileMs: number | undefined;
  readonly meter: ProgressMeter;
  readonly isHidden: (() => boolean) | undefined;
}

/** A result, and what tells whether it can be trusted. */
export interface MeasuredTest {
  readonly result: TestResult;
  readonly evidence: { readonly leastMs: number; readonly wasHidden: boolean };
}

const PROFILE_REPETITIONS = 3;

/**
 * Repeats each test once to warm up and then several times, and its kernels if they are asked for.
 *
 * Tests take turns, so that what changes while all of them run is in the spread of each, not between them. Only those at
 * a depth are measured by themselves: prompts of others would drive what lies before them out of the cache.
 */
export async function measureTests(
  bench: SubjectBench,
  tests: readonly BenchTest[],
  setting: TestSetting,
): Promise<readonly MeasuredTest[]> {
  const deep = tests.filter(isDeep);
  const groups = [tests.filter((test) => !isDeep(test)), ...deep.map((test) => [test])];
  const measured = new Map<BenchTest, MeasuredTest>();
  for (const group of groups) {
    for (const each of await measureInTurn(bench, group, setting)) measured.set(...each);
  }
  return tests.flatMap((test) => measured.get(test) ?? []);
}

function isDeep(test: BenchTest): boolean {
  return test.kind !== 'encode' && test.depth > 0;
}

async function measureInTurn(
  bench: SubjectBench,
  tests: readonly BenchTest[],
  setting: TestSetting,
): Promise<readonly (readonly [BenchTest, MeasuredTest])[]> {
  const { repetitions, isHidden } = setting;
  const series = tests.map((test) => ({ test, runs: [] as Repetition[] }));
  const measured: [BenchTest, MeasuredTest][] = [];
  for (let done = -1; done < repetitions; done += 1) {
    for (const { test, runs } of series) {
      const name = testName(test);
      const progress = {
        phase: 'test',
        test: name,
        ...(done >= 0 && { done }),
        of: repetitions,
      } as const;
      const run = await setting.meter.step(name, progress, async () => {
        // Only what happens from here on counts.
        isHidden?.();
        return repeat(bench, test, setting);
      });
      if (done < 0) continue;
      runs.push({ ...run, wasHidden: isHidden?.() ?? false });
      // While the bench knows of this test's last step.
      if (done === repetitions - 1)
        measured.push([test, await conclude(bench, test, runs, setting)]);
    }
  }
  return measured;
}

interface Repetition extends TestRun {
  readonly wasHidden: boolean;
}

/** Runs a test for long enough to tell its rate: several times, if it is short. */
async function repeat(
  bench: SubjectBench,
  test: BenchTest,
  { clock, leastMs }: TestSetting,
): Promise<TestRun> {
  const runs: TestRun[] = [];
  const beginMs = clock.now();
  do runs.push(await bench.run(test));
  while (clock.now() - beginMs < leastMs);
  const sum = (of: (run: TestRun) => number): number => runs.reduce((all, run) => all + of(run), 0);
  const [first] = runs;
  return {
    ...first,
    tokens: sum(({ tokens }) => tokens),
    ms: sum(({ ms }) => ms),
    ...(first?.firstTokenMs !== undefined && {
      firstTokenMs: sum(({ firstTokenMs = 0 }) => firstTokenMs) / runs.length,
    }),
  };
}

async function conclude(
  bench: SubjectBench,
  test: BenchTest,
  runs: readonly Repetition[],
  setting: TestSetting,
): Promise<MeasuredTest> {
  const { device, clock, signal, peaks, profileMs, meter } = setting;
  const name = testName(test);
  const evidence = {
    leastMs: Math.min(...runs.map(({ ms }) => ms)),
    wasHidden: runs.some(({ wasHidden }) => wasHidden),
  };
  const result = describeTest(test, runs, bench.needs(test), setting);
  const step = bench.lastStep;
  if (profileMs === undefined || step === undefined) return { result, evidence };
  const how = { clock, repetitions: PROFILE_REPETITIONS, leastMs: profileMs, peaks, signal };
  const profile = await meter.step(`profile ${name}`, { phase: 'profile', test: name }, () =>
    profileRecording(device, step.recording, step.work, how),
  );
  return { result: { ...result, profile }, evidence };
}

function describeTest(
  test: BenchTest,
  runs: readonly TestRun[],
  { tokens, work }: TestNeeds,
  { peaks, tickMs }: TestSetting,
): TestResult {
  // What takes no time on this clock takes one step of it at most.
  const rates = runs.map((run) => (run.tokens / Math.max(run.ms, tickMs)) * 1000);
  const tokensPerSecond = spreadOf(rates);
  const perSecond = tokensPerSecond.median / tokens;
  const firstTokens = runs.flatMap(({ firstTokenMs }) => firstTokenMs ?? []);
  const [run] = runs;
  return {
    test: testName(test),
    kind: test.kind,
    tokensPerSecond,
    ...(test.kind === 'encode' && {
      textsPerSecond: spreadOf(rates.map((rate) => rate / test.tokens)),
    }),
    ...(firstTokens.length > 0 && { firstTokenMs: spreadOf(firstTokens) }),
    ...(work && describeWork(tokens, work, perSecond, peaks)),
    ...(run?.calls && { callsPerToken: run.calls }),
  };
}

/** @param perSecond - how often the work is done in a second */
function describeWork(
  tokens: number,
  { by, bytes, flops }: NonNullable<TestNeeds['work']>,
  perSecond: number,
  peaks: Peaks | null,
): Pick<TestResult, 'limit' | 'stepBytes' | 'flops' | 'work'> {
  const isBandwidth = by === 'bandwidth';
  const most =
    peaks &&
    (isBandwidth
      ? (peaks.readGigabytesPerSecond.median * 1e9) / bytes
      : (peaks.f32GigaflopsPerSecond.median * 1e9) / flops);
  return {
    ...(most !== null && {
      limit: { by, tokensPerSecond: most * tokens, share: perSecond / most },
    }),
    ...(isBandwidth
      ? { stepBytes: bytes, gigabytesPerSecond: (bytes * perSecond) / 1e9 }
      : { flops, gigaflopsPerSecond: (flops * perSecond) / 1e9 }),
    work: { tokens, bytes, flops },
  };
}
