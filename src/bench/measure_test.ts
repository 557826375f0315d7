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

/** Runs a test once to warm up and then several times, and its kernels if they are asked for. */
export async function measureTest(
  bench: SubjectBench,
  test: BenchTest,
  setting: TestSetting,
): Promise<MeasuredTest> {
  const { device, clock, signal, repetitions, peaks, profileMs, meter, isHidden } = setting;
  const name = testName(test);
  const runs: TestRun[] = [];
  let wasHidden = false;
  for (let i = -1; i < repetitions; i += 1) {
    const progress = { phase: 'test', test: name, done: Math.max(i, 0), of: repetitions } as const;
    const run = await meter.step(name, progress, () => {
      // Only what happens from here on counts.
      isHidden?.();
      return bench.run(test);
    });
    if (i < 0) continue;
    runs.push(run);
    const wasHiddenNow = isHidden?.() ?? false;
    wasHidden ||= wasHiddenNow;
  }
  const evidence = { leastMs: Math.min(...runs.map(({ ms }) => ms)), wasHidden };
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
