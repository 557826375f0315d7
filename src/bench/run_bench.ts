import type { LoadProgress } from '../engine/api.ts';
import type { EncoderQueue } from '../engine/encoder_queue.ts';
import type { Generator } from '../engine/generator.ts';
import type { Clock } from '../gpu/stopwatch.ts';
import type { ModelKind } from '../models/family.ts';
import { DeviceLostError, RequestError } from '../util/errors.ts';
import {
  DEFAULT_TESTS,
  KINDS_OF_TESTS,
  parseTest,
  stepsOf,
  testName,
  type BenchTest,
} from './bench_tests.ts';
import { countCalls, type Calls } from './count_calls.ts';
import { countMemory, type GpuMemory } from './count_memory.ts';
import { describeDevice } from './device_report.ts';
import { findDoubts } from './doubts.ts';
import { benchOf, measureTests } from './measure_test.ts';
import {
  openSubject,
  targetKind,
  type BenchSubject,
  type BenchTarget,
  type OpenOptions,
} from './open_model.ts';
import { measurePeaks, measureRates } from './peaks.ts';
import { ProgressMeter, type OnBench } from './progress.ts';
import { BENCH_SCHEMA, type BenchReport, type PageMemory } from './report.ts';

export interface BenchOptions extends Omit<OpenOptions, 'gpu' | 'onProgress'> {
  readonly gpu: GPU;
  readonly clock: Clock;
  /** Names of tests; default: {@link DEFAULT_TESTS}. */
  readonly tests?: readonly string[] | undefined;
  /** Measured repetitions of each test, after one that warms up; default 5. A short test is run several times in each. */
  readonly repetitions?: number | undefined;
  /** Whether to measure what the device can do, before and after the tests; default true. */
  readonly measuresPeaks?: boolean | undefined;
  /** Whether to measure each kernel after each test. */
  readonly profiles?: boolean | undefined;
  /** Whether to load the model a second time after the tests, to tell a warm load. */
  readonly loadsAgain?: boolean | undefined;
  readonly onBench?: OnBench | undefined;
  /** Whether the page is hidden, or was since this was asked last: asked before and after each run. */
  readonly isHidden?: (() => boolean) | undefined;
  /** Memory outside of the GPU: asked after loading and after the tests. */
  readonly pageMemory?: PageMemoryReader | undefined;
  /** The browser, or Node with its WebGPU, for the report. */
  readonly runtime?: string | undefined;
}

/** Tells what the platform knows of the page's or the process's memory. */
export type PageMemoryReader = () => PageMemory | undefined | Promise<PageMemory | undefined>;

/** Costs of what is done beside the tests, in decode steps: good enough to tell how far a run is. */
const COSTS = { load: 150, peaks: 150, profile: 150, check: 60, reload: 100 } as const;
/** Long enough for the short pauses of a browser and an operating system to come to the same in each repetition. */
const REPETITION_MS = 500;
/** So many steps of the clock make a time that can be told to a few percent. */
const ENOUGH_TICKS = 50;
/** Least and most time of one measurement of a ceiling, and of a kernel, in milliseconds. */
const PEAK_MS = 50;
const PROFILE_MS = 20;
const LONGEST_MS = 500;

/**
 * Measures a model: loads it, repeats each test once to warm up and then `repetitions` times, and frees it.
 *
 * @throws {RequestError} if a test is unknown or not for models of this kind
 * @throws {OutOfMemoryError} if the device cannot hold the model
 * @throws {DeviceLostError} if the device is lost
 * @throws as `Engine.load`; `signal.reason` when aborted
 */
export async function runBench(target: BenchTarget, wished: BenchOptions): Promise<BenchReport> {
  const options = endingAtLoss(wished);
  const { clock, signal, onBench, loadsAgain = false } = options;
  const kind = await targetKind(target, signal);
  const asked = testsFor(kind, options.tests);
  const meter = new ProgressMeter(() => clock.now(), onBench);
  expectSteps(meter, asked, options);
  const { gpu: counting, calls } = countCalls(options.gpu);
  const { gpu, memory } = countMemory(counting);
  const load = (phase: 'load' | 'reload'): Promise<Loaded> =>
    meter.step(phase, { phase }, async () => {
      const beginMs = clock.now();
      const onProgress = (load: LoadProgress): void => meter.loading(phase, load);
      const opened = await openSubject(target, kind, asked, { ...options, gpu, onProgress });
      return { ...opened, ms: clock.now() - beginMs };
    });

  const loaded = await load('load');
  let report: BenchReport;
  try {
    const run = { loaded, kind, asked, gpu, calls, memory, meter };
    report = await measureLoaded(run, options);
  } finally {
    await ownerOf(loaded).dispose();
  }
  if (!loadsAgain) return report;
  try {
    const again = await load('reload');
    await ownerOf(again).dispose();
    return { ...report, load: { coldMs: loaded.ms, warmMs: again.ms } };
  } catch (error) {
    signal?.throwIfAborted();
    // What was measured is worth more than that.
    return { ...report, notes: [...report.notes, `loading again failed: ${String(error)}`] };
  }
}

/** A lost device ends the run: an engine would go on with another one, and the figures would be of both. */
function endingAtLoss(options: BenchOptions): BenchOptions {
  const loss = new AbortController();
  const { signal = loss.signal } = options;
  return {
    ...options,
    signal: AbortSignal.any([signal, loss.signal]),
    onRecovery({ reason }) {
      loss.abort(
        new DeviceLostError(`bench: the GPU was lost: ${reason}; measure again`, { reason }),
      );
    },
  };
}

/** A model on the device, and how long that took. */
interface Loaded {
  readonly subject: BenchSubject;
  readonly tests: readonly BenchTest[];
  readonly ms: number;
}

/** A run whose model is there. */
interface Run {
  readonly loaded: Loaded;
  readonly kind: ModelKind;
  readonly asked: readonly BenchTest[];
  readonly gpu: GPU;
  readonly calls: Readonly<Calls>;
  readonly memory: GpuMemory;
  readonly meter: ProgressMeter;
}

async function measureLoaded(run: Run, options: BenchOptions): Promise<BenchReport> {
  const { loaded, kind, asked, gpu, calls, memory, meter } = run;
  const { clock, signal, repetitions = 5, measuresPeaks = true, profiles = false } = options;
  const { subject } = loaded;
  const { device } = ownerOf(loaded);
  const loadPeak = memory.takePeak();
  const afterLoad = await options.pageMemory?.();
  const described = await describeDevice(gpu, device, clock, options.runtime);
  const leastMs = (ms: number): number =>
    Math.min(Math.max(ms, ENOUGH_TICKS * described.timerTickMs), LONGEST_MS);
  const how = { repetitions: 5, leastMs: leastMs(PEAK_MS), signal };

  const peaks = measuresPeaks
    ? await meter.step('peaks', { phase: 'peaks' }, () => measurePeaks(device, clock, how))
    : null;
  memory.takePeak();
  const bench = benchOf(subject, clock, calls, signal);
  const tests = distinct(loaded.tests);
  expectTests(meter, asked, tests, options);
  const measured = await measureTests(bench, tests, {
    device,
    clock,
    signal,
    repetitions,
    leastMs: REPETITION_MS,
    peaks,
    tickMs: described.timerTickMs,
    profileMs: profiles ? leastMs(PROFILE_MS) : undefined,
    meter,
    isHidden: options.isHidden,
  });
  const testPeak = memory.takePeak();
  const stats = subject.stats();
  const afterTests = await options.pageMemory?.();
  const peaksAfter =
    peaks === null
      ? undefined
      : await meter.step('check', { phase: 'check' }, () =>
          measureRates(device, clock, { ...how, repetitions: 3 }),
        );
  const results = measured.map(({ result }) => result);
  const runs = new Map(measured.map(({ result, evidence }) => [result.test, evidence]));
  return {
    schema: BENCH_SCHEMA,
    date: new Date().toISOString(),
    model: { ...subject.files, kind },
    adapter: stats.adapter,
    device: described,
    settings: { repetitions, ...settingsOf(subject) },
    load: { coldMs: loaded.ms },
    peaks,
    ...(peaksAfter && { peaksAfter }),
    results,
    doubts: findDoubts({ device: described, peaks, peaksAfter, results, runs }),
    selfTest: stats.selfTest,
    tuning: stats.tuning,
    memory: {
      ...stats.memory,
      peakBytes: Math.max(loadPeak, testPeak),
      ...largerMemory(afterLoad, afterTests),
    },
    notes: asked.flatMap((test, i) => shorteningOf(test, loaded.tests[i])),
  };
}

function ownerOf({ subject }: Loaded): Generator | EncoderQueue {
  return subject.kind === 'encoder' ? subject.queue : subject.generator;
}

function expectSteps(
  meter: ProgressMeter,
  tests: readonly BenchTest[],
  options: BenchOptions,
): void {
  const { measuresPeaks = true, loadsAgain = false } = options;
  meter.expect('load', COSTS.load);
  if (measuresPeaks) meter.expect('peaks', COSTS.peaks);
  expectTests(meter, [], tests, options);
  if (measuresPeaks) meter.expect('check', COSTS.check);
  if (loadsAgain) meter.expect('reload', COSTS.reload);
}

/** Plans tests in place of those that were thought of before. */
function expectTests(
  meter: ProgressMeter,
  before: readonly BenchTest[],
  tests: readonly BenchTest[],
  { repetitions = 5, profiles = false }: BenchOptions,
): void {
  meter.forget(before.flatMap((test) => [testName(test), `profile ${testName(test)}`]));
  for (const test of tests) {
    meter.expect(testName(test), stepsOf(test), repetitions + 1);
    if (profiles) meter.expect(`profile ${testName(test)}`, COSTS.profile);
  }
}

/** Tests that the context made the same are measured once. */
function distinct(tests: readonly BenchTest[]): readonly BenchTest[] {
  return [...new Map(tests.map((test) => [testName(test), test])).values()];
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

function largerMemory(
  a: PageMemory | undefined,
  b: PageMemory | undefined,
): Pick<BenchReport['memory'], 'pageBytes'> {
  const known = [a, b].filter((memory) => memory !== undefined);
  const [first] = known;
  if (first === undefined) return {};
  return { pageBytes: { peak: Math.max(...known.map(({ bytes }) => bytes)), of: first.of } };
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
