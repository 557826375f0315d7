/**
 * Compares the kernels that a device would run with the plain ones, on that device: drivers and shader compilers have
 * bugs, and a kernel that is wrong on one of them would otherwise show as nonsense in the replies.
 *
 * @module
 */
import type { AdapterRecord, DroppedKernel } from '../gpu/adapter_record.ts';
import type { Device } from '../gpu/device.ts';
import type { DeviceFacts } from '../gpu/facts.ts';
import { readBuffer } from '../gpu/readback.ts';
import { Recorder } from '../gpu/recorder.ts';
import { StateBuffer } from '../gpu/state_buffer.ts';
import { COUNT_NAMES } from '../gpu/tensor.ts';
import { OutOfMemoryError } from '../util/errors.ts';
import type { SelfTestCase } from './self_test_case.ts';
import { selfTestCases, type ModelNeeds } from './self_test_cases.ts';
import { VARIANTS, type Variant } from './variants.ts';

/** What is known of an adapter after a self-test. */
export interface SelfTestResult extends AdapterRecord {
  /** Variants that were compared with the plain ones, now or before. */
  readonly checked: readonly string[];
  /** Whether anything had to be run. */
  readonly hasRun: boolean;
  /** False if it was aborted or no device could be had for it. */
  readonly isComplete: boolean;
}

/** A case with the variants it runs now. */
interface Configuration {
  readonly test: SelfTestCase;
  readonly variants: readonly Variant[];
  /** Names both in the record. */
  readonly id: string;
}

/** How a case turned out; `unknown` if there is nothing to compare: the plain kernels fail too, or memory is short. */
type Outcome =
  | { readonly kind: 'agrees' | 'unknown' }
  | { readonly kind: 'differs'; readonly error: number; readonly reason: string };

type Open = () => Promise<Device>;

/**
 * Runs each case whose variants are not known to work, and drops variants until all that are left agree with the plain
 * ones. Never rejects.
 *
 * @param open - opens a device for the test alone: what goes wrong on it harms nobody
 * @param known - what was found before on this adapter
 * @param signal - leaves it incomplete, and frees its device at once
 */
export async function selfTest(
  facts: DeviceFacts,
  open: Open,
  needs: ModelNeeds,
  known: AdapterRecord = { passed: [], dropped: [] },
  signal?: AbortSignal,
): Promise<SelfTestResult> {
  const cases = selfTestCases(needs);
  const passed = new Set(known.passed);
  const unknown = new Set<string>();
  const dropped: DroppedKernel[] = [...known.dropped];
  let hasRun = false;
  const result = (
    configurations: readonly Configuration[],
    isComplete: boolean,
  ): SelfTestResult => {
    const kept = configurations.filter(({ id }) => passed.has(id)).flatMap((c) => c.variants);
    const checked = new Set([...kept, ...dropped.map(({ variant }) => variant)]);
    return { passed: [...passed], dropped, checked: [...checked], hasRun, isComplete };
  };

  for (;;) {
    const left = without(facts, ...dropped.map(({ variant }) => variant));
    const configurations = cases.map((test) => configure(test, left));
    const due = configurations.filter(
      ({ id, variants }) => variants.length > 0 && !passed.has(id) && !unknown.has(id),
    );
    if (due.length === 0) return result(configurations, true);
    if (signal?.aborted === true) return result(configurations, false);
    hasRun = true;
    try {
      const outcomes = await compareAll(open, left, due, signal);
      for (const [i, { id }] of due.entries()) {
        if (outcomes[i]?.kind === 'agrees') passed.add(id);
        if (outcomes[i]?.kind === 'unknown') unknown.add(id);
      }
      const first = outcomes.findIndex(({ kind }) => kind === 'differs');
      const [wrong, outcome] = [due[first], outcomes[first]];
      if (wrong !== undefined && outcome?.kind === 'differs') {
        const { error, reason } = outcome;
        dropped.push({ variant: await blame(open, left, wrong, signal), error, reason });
      }
    } catch {
      return result(configurations, false);
    }
  }
}

function without(facts: DeviceFacts, ...variants: readonly string[]): DeviceFacts {
  return { ...facts, dropped: new Set([...facts.dropped, ...variants]) };
}

function configure(test: SelfTestCase, facts: DeviceFacts): Configuration {
  const variants = test.variants(facts);
  return { test, variants, id: `${test.name}: ${variants.join(', ')}` };
}

/** The library whose absence puts a case right, else its kernel. @throws as {@link compareAll} */
async function blame(
  open: Open,
  facts: DeviceFacts,
  wrong: Configuration,
  signal: AbortSignal | undefined,
): Promise<string> {
  const libraries = wrong.variants.slice(0, -1);
  for (const library of libraries) {
    const rest = without(facts, library);
    const [outcome] = await compareAll(open, rest, [configure(wrong.test, rest)], signal);
    if (outcome?.kind === 'agrees') return library;
  }
  return wrong.variants[libraries.length] ?? '';
}

/** Outcomes of all configurations, in their order. @throws whatever `open` throws; `signal.reason` when aborted */
async function compareAll(
  open: Open,
  facts: DeviceFacts,
  configurations: readonly Configuration[],
  signal: AbortSignal | undefined,
): Promise<readonly Outcome[]> {
  const device = await open();
  const stop = (): void => device.dispose();
  signal?.addEventListener('abort', stop);
  try {
    signal?.throwIfAborted();
    const outcomes = await Promise.all(
      configurations.map(({ test }) => compare(device, facts, test)),
    );
    signal?.throwIfAborted(); // what fails on a device taken away is nobody's fault
    const isSound = outcomes.every(
      (outcome) =>
        outcome.kind === 'agrees' || (outcome.kind === 'differs' && Number.isFinite(outcome.error)),
    );
    if (configurations.length === 1 || (isSound && device.failure === undefined)) return outcomes;
  } finally {
    signal?.removeEventListener('abort', stop);
    device.dispose();
  }
  // Whoever breaks a device breaks it for all: each by itself tells who.
  const outcomes: Outcome[] = [];
  for (const configuration of configurations) {
    outcomes.push(...(await compareAll(open, facts, [configuration], signal)));
  }
  return outcomes;
}

async function compare(device: Device, facts: DeviceFacts, test: SelfTestCase): Promise<Outcome> {
  let expected: readonly (readonly number[])[];
  try {
    expected = await run(device, without(facts, ...VARIANTS), test);
  } catch {
    return { kind: 'unknown' };
  }
  if (!expected.flat().every(Number.isFinite)) return { kind: 'unknown' };

  const differs = (error: number, what: string): Outcome => {
    return { kind: 'differs', error, reason: `${test.name}: ${what}` };
  };
  let actual: readonly (readonly number[])[];
  try {
    actual = await run(device, facts, test);
  } catch (error) {
    if (error instanceof OutOfMemoryError) return { kind: 'unknown' };
    return differs(NaN, error instanceof Error ? error.message : String(error));
  }
  const errors = expected.map((part, i) => relativeError(actual[i] ?? [], part));
  const error = Math.max(...errors);
  if (!Number.isFinite(error)) return differs(NaN, 'results that are no finite numbers');
  const most = tolerance(test.depth);
  if (error <= most) return { kind: 'agrees' };
  const [found, expectedMost] = [error.toExponential(1), most.toExponential(1)];
  return differs(error, `off by ${found} of the largest value, expected at most ${expectedMost}`);
}

/** Every part of every step's result. */
async function run(
  device: Device,
  facts: DeviceFacts,
  test: SelfTestCase,
): Promise<readonly (readonly number[])[]> {
  const state = new StateBuffer(device, { counts: { dtype: 'u32', shape: [8] } });
  const { counts } = state.regions;
  const recorder = new Recorder(device, counts.tensor, facts);
  const result = test.record(recorder);
  recorder.keep('result', result);
  const recording = await recorder.finish();
  const range = recording.kept('result');
  if (range === undefined) return [];

  const parts: (readonly number[])[] = [];
  for (const step of test.steps) {
    // Recordings share scratch memory: up to the copy nothing else may come between.
    for (const [i, name] of COUNT_NAMES.entries()) counts.words[i] = step[name];
    state.upload('counts', counts.words.length);
    const encoder = device.gpu.createCommandEncoder();
    device.scratch.clear(encoder);
    const pass = encoder.beginComputePass();
    recording.replay(pass, step);
    pass.end();
    device.gpu.queue.submit([encoder.finish()]);
    const bytes = await readBuffer(device, { ...range, size: result.sizeBytes });
    parts.push(...test.read(bytes));
  }
  await device.settled();
  return parts;
}

/**
 * Most that two sums of `depth` additions in a row may differ by, relative to the largest: twice the bound of each,
 * depth · 2^-24 of the sum of magnitudes (Higham 2002, "Accuracy and Stability of Numerical Algorithms", § 4.2), which
 * is a few times the largest of many sums of random terms.
 */
function tolerance(depth: number): number {
  return 8 * depth * 2 ** -24;
}

/** Largest |actual − expected| over the largest |expected|; NaN or Infinity if a number is not finite. */
function relativeError(actual: readonly number[], expected: readonly number[]): number {
  let error = 0;
  let largest = 2 ** -126;
  for (const [i, value] of expected.entries()) {
    // Math.max keeps NaN.
    error = Math.max(error, Math.abs((actual[i] ?? NaN) - value));
    largest = Math.max(largest, Math.abs(value));
  }
  return error / largest;
}
