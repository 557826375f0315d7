import type { EngineStats } from '../engine/api.ts';
import type { Device } from '../gpu/device.ts';
import type { Clock } from '../gpu/stopwatch.ts';
import type { ModelKind } from '../models/family.ts';
import { RequestError } from '../util/errors.ts';
import { parseTest, testName, type BenchTest } from './bench_tests.ts';
import { countCalls, type Calls } from './count_calls.ts';
import { EncoderBench } from './encoder_bench.ts';
import { GenerationBench, type TestNeeds, type TestRun } from './generation_bench.ts';
import {
  openSubject,
  targetKind,
  type BenchSubject,
  type BenchTarget,
  type OpenOptions,
  type SubjectFiles,
} from './open_model.ts';
import { measurePeaks, type Peaks } from './peaks.ts';
import { profileRecording, type ProfileReport } from './profile.ts';
import { spreadOf, type Spread } from './statistics.ts';

/** Version of the form of {@link BenchReport}; another major number where what there was means something else. */
export const BENCH_SCHEMA = 'quern-bench/1';

/** What was measured of one model on one device, as plain data. */
export interface BenchReport {
  readonly schema: typeof BENCH_SCHEMA;
  /** ISO 8601. */
  readonly date: string;
  readonly model: SubjectFiles & { readonly kind: ModelKind };
  readonly adapter: EngineStats['adapter'];
  readonly settings: {
    readonly repetitions: number;
    /** Tokens computed in one step at most. */
    readonly tokenBudget: number;
    readonly kvDtype?: string;
    readonly contextLength?: number;
  };
  /** The ceilings of the device; null if they were not to be measured. */
  readonly peaks: Peaks | null;
  readonly results: readonly TestResult[];
  /** Which kernels the model does without, and which were found to be the fastest. */
  readonly selfTest: EngineStats['selfTest'];
  readonly tuning: EngineStats['tuning'];
  /** Bytes of GPU memory at the end. */
  readonly memory: EngineStats['memory'];
  /** What was done other than asked. */
  readonly notes: readonly string[];
}

/** What came of one test. */
export interface TestResult {
  /** Its name, of what was measured in the end. */
  readonly test: string;
  readonly kind: BenchTest['kind'];
  readonly tokensPerSecond: Spread;
  /** Of encoders, and of encoder-decoders' inputs. */
  readonly textsPerSecond?: Spread;
  readonly firstTokenMs?: Spread;
  /** What the device could do at most, and how much of that was reached; absent without {@link Peaks}. */
  readonly limit?: {
    readonly by: 'bandwidth' | 'arithmetic';
    readonly tokensPerSecond: number;
    /** Median over limit. */
    readonly share: number;
  };
  /** Bytes of weights, keys and values that a decode step must read, and what that came to per second. */
  readonly stepBytes?: number;
  readonly gigabytesPerSecond?: number;
  /** Operations of a whole prompt or text, and what that came to per second. */
  readonly flops?: number;
  readonly gigaflopsPerSecond?: number;
  /** GPU calls for one more token of a single reply. */
  readonly callsPerToken?: Calls;
  readonly profile?: ProfileReport;
}

/** How far a run is. */
export interface BenchProgress {
  readonly phase: 'load' | 'peaks' | 'test' | 'profile';
  readonly test?: string;
  /** Repetitions done, of how many. */
  readonly done?: number;
  readonly of?: number;
}

export interface BenchOptions extends Omit<OpenOptions, 'gpu'> {
  readonly gpu: GPU;
  readonly clock: Clock;
  /** Names of tests; default: those of llama-bench, and texts of 128 and 512 tokens, one and eight at once. */
  readonly tests?: readonly string[] | undefined;
  /** Measured runs of each test, after one that warms up; default 5. */
  readonly repetitions?: number | undefined;
  /** Whether to measure what the device can do; default true. */
  readonly measuresPeaks?: boolean | undefined;
  /** Whether to measure each kernel after each test. */
  readonly profiles?: boolean | undefined;
  readonly onBench?: ((progress: BenchProgress) => void) | undefined;
}

const DEFAULT_TESTS: Readonly<Record<ModelKind, readonly string[]>> = {
  decoder: ['pp512', 'tg128', 'tg128@d4096'],
  encoder: ['enc128', 'enc128x8', 'enc512', 'enc512x8'],
  seq2seq: ['enc512', 'tg128'],
};

/** What models of each kind can be asked. */
const KINDS_OF_TESTS: Readonly<Record<ModelKind, readonly BenchTest['kind'][]>> = {
  decoder: ['prefill', 'decode'],
  encoder: ['encode'],
  seq2seq: ['encode', 'decode'],
};

/** Least time of one measurement of a kernel, and of a ceiling, in milliseconds. */
const PROFILE_MS = 20;
const PROFILE_REPETITIONS = 3;

/**
 * Measures a model: loads it, runs each test once to warm up and then `repetitions` times, and frees it.
 *
 * @throws {RequestError} if a test is unknown or not for models of this kind
 * @throws {OutOfMemoryError} if the device cannot hold the model
 * @throws as `Engine.load`; `signal.reason` when aborted
 */
export async function runBench(target: BenchTarget, options: BenchOptions): Promise<BenchReport> {
  const { clock, signal, repetitions = 5, measuresPeaks = true, onBench } = options;
  const kind = await targetKind(target, signal);
  const asked = testsFor(kind, options.tests);
  onBench?.({ phase: 'load' });
  const { gpu, calls } = countCalls(options.gpu);
  const { subject, tests } = await openSubject(target, kind, asked, { ...options, gpu });
  const owner = subject.kind === 'encoder' ? subject.queue : subject.generator;
  try {
    const { device } = owner;
    onBench?.({ phase: 'peaks' });
    const peaks = measuresPeaks ? await measurePeaks(device, clock, { signal }) : undefined;
    const bench = benchOf(subject, clock, calls, signal);
    const results: TestResult[] = [];
    for (const test of distinct(tests))
      results.push(await runTest(bench, device, test, peaks, options));
    const { adapter, memory, selfTest, tuning } = subject.stats();
    return {
      schema: BENCH_SCHEMA,
      date: new Date().toISOString(),
      model: { ...subject.files, kind },
      settings: { repetitions, ...settingsOf(subject) },
      peaks: peaks ?? null,
      results,
      memory,
      adapter,
      selfTest,
      tuning,
      notes: asked.flatMap((test, i) => shorteningOf(test, tests[i])),
    };
  } finally {
    await owner.dispose();
  }
}

/** Tests that the context made the same are measured once. */
function distinct(tests: readonly BenchTest[]): Iterable<BenchTest> {
  return new Map(tests.map((test) => [testName(test), test])).values();
}

/** @throws {RequestError} if a test is unknown or not for models of this kind */
function testsFor(kind: ModelKind, names: readonly string[] | undefined): readonly BenchTest[] {
  const tests = (names ?? DEFAULT_TESTS[kind]).map(parseTest);
  const refused = tests.find((test) => !KINDS_OF_TESTS[kind].includes(test.kind));
  if (refused === undefined) return tests;
  throw new RequestError(
    `bench: test is ${testName(refused)}, expected one for models of the kind ${kind}, such as ${DEFAULT_TESTS[kind].join(', ')}`,
    { param: 'tests' },
  );
}

async function runTest(
  bench: SubjectBench,
  device: Device,
  test: BenchTest,
  peaks: Peaks | undefined,
  { clock, signal, repetitions = 5, profiles = false, onBench }: BenchOptions,
): Promise<TestResult> {
  const name = testName(test);
  const runs: TestRun[] = [];
  for (let i = -1; i < repetitions; i += 1) {
    onBench?.({ phase: 'test', test: name, done: Math.max(i, 0), of: repetitions });
    const run = await bench.run(test);
    if (i >= 0) runs.push(run);
  }
  const result = describeTest(test, runs, bench.needs(test), peaks);
  const step = bench.lastStep;
  if (!profiles || step === undefined) return result;
  onBench?.({ phase: 'profile', test: name });
  const how = { clock, repetitions: PROFILE_REPETITIONS, leastMs: PROFILE_MS, peaks, signal };
  return { ...result, profile: await profileRecording(device, step.recording, step.work, how) };
}

interface SubjectBench {
  run(test: BenchTest): Promise<TestRun>;
  needs(test: BenchTest): TestNeeds;
  readonly lastStep: GenerationBench['lastStep'];
}

function benchOf(
  subject: BenchSubject,
  clock: Clock,
  calls: Readonly<Calls>,
  signal: AbortSignal | undefined,
): SubjectBench {
  if (subject.kind !== 'encoder') return new GenerationBench(subject, clock, calls, signal);
  return new EncoderBench(subject, clock, signal);
}

function describeTest(
  test: BenchTest,
  runs: readonly TestRun[],
  { tokens, bytes, flops }: TestNeeds,
  peaks: Peaks | undefined,
): TestResult {
  const tokensPerSecond = spreadOf(runs.map((run) => (run.tokens / run.ms) * 1000));
  const perSecond = tokensPerSecond.median / tokens;
  const by = bytes === undefined ? 'arithmetic' : 'bandwidth';
  const most =
    bytes === undefined
      ? peaks && flops && (peaks.f32GigaflopsPerSecond.median * 1e9) / flops
      : peaks && (peaks.readGigabytesPerSecond.median * 1e9) / bytes;
  const firstTokens = runs.flatMap(({ firstTokenMs }) => firstTokenMs ?? []);
  const [run] = runs;
  return {
    test: testName(test),
    kind: test.kind,
    tokensPerSecond,
    ...(test.kind === 'encode' && {
      textsPerSecond: spreadOf(tokensPerSecond.runs.map((rate) => rate / test.tokens)),
    }),
    ...(firstTokens.length > 0 && { firstTokenMs: spreadOf(firstTokens) }),
    ...(most !== undefined && {
      limit: { by, tokensPerSecond: most * tokens, share: perSecond / most },
    }),
    ...(bytes !== undefined && {
      stepBytes: bytes,
      gigabytesPerSecond: (bytes * perSecond) / 1e9,
    }),
    ...(flops !== undefined && { flops, gigaflopsPerSecond: (flops * perSecond) / 1e9 }),
    ...(run?.calls && { callsPerToken: run.calls }),
  };
}

function settingsOf(subject: BenchSubject): Omit<BenchReport['settings'], 'repetitions'> {
  if (subject.kind === 'encoder') return { tokenBudget: subject.tokenBudget };
  const { tokenBudget, kvDtype, contextLength } = subject.limits;
  return { tokenBudget, kvDtype, contextLength };
}

function shorteningOf(asked: BenchTest, run: BenchTest | undefined): readonly string[] {
  if (run === undefined || testName(run) === testName(asked)) return [];
  return [`${testName(asked)} does not fit in the context: measured ${testName(run)}`];
}
