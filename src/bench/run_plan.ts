import type { ModelSource } from '../weights/source.ts';
import type { HttpOptions } from '../weights/sources/http.ts';
import { resolveSource } from '../weights/sources/resolve.ts';
import { WEIGHT_OPTIONS, type WeightOption } from '../weights/forms.ts';
import { RequestError } from '../util/errors.ts';
import { countMemory, type GpuMemory } from './count_memory.ts';
import { targetKind, type BenchTarget } from './open_model.ts';
import {
  BUNDLED_MODEL,
  isShape,
  MADE_UP_FORM,
  testsOfKind,
  type BenchPlan,
  type PlanTarget,
} from './plan.ts';
import type { BenchProgress } from './progress.ts';
import type { BenchReport } from './report.ts';
import { runBench, type BenchOptions } from './run_bench.ts';
import { shapeConfig } from './shapes.ts';

/** What came of one target of a plan, and what it left behind on the GPU: nothing, unless there is a leak. */
export type BenchOutcome = {
  readonly target: PlanTarget;
  /** GPU bytes and devices that are still alive, counted at WebGPU's own calls. */
  readonly left: { readonly bytes: number; readonly devices: number };
} & (
  | { readonly kind: 'done'; readonly report: BenchReport }
  | { readonly kind: 'failed'; readonly error: unknown }
  /** The last outcome of a plan that was aborted. */
  | { readonly kind: 'aborted' }
);

/** How far a plan is; `fraction` and `leftMs` are of all of it. */
export interface PlanProgress extends BenchProgress {
  readonly target: PlanTarget;
  readonly index: number;
}

export interface PlanOptions extends Omit<
  BenchOptions,
  'tests' | 'repetitions' | 'profiles' | 'onBench' | 'kvDtype' | 'weights'
> {
  /** Files of {@link BUNDLED_MODEL}, or the address of their folder. */
  readonly bundled: ModelSource | string;
  readonly http?: HttpOptions;
  /**
   * Whether to load each model a second time, to tell a warm load; default: those that are made up or bundled, since others
   * would be downloaded again.
   */
  readonly loadsAgain?: boolean | undefined;
  /** What it returns is awaited before the measurement goes on. */
  readonly onBench?: ((progress: PlanProgress) => void | Promise<void>) | undefined;
}

/** How long what was aborted may take to free the GPU, and how often that is looked for, in milliseconds. */
const FREEING_MS = 5000;
const LOOK_MS = 10;

/**
 * Measures the targets of a plan one after another and gives the outcome of each as soon as it is there. A target that
 * fails does not end the plan; an abort does, after an outcome that says so. Each model is freed before the next.
 */
export async function* runPlan(
  plan: BenchPlan,
  options: PlanOptions,
): AsyncGenerator<BenchOutcome, void, undefined> {
  const { signal, clock, onBench } = options;
  const { gpu, memory } = countMemory(options.gpu);
  const startMs = clock.now();
  const count = plan.targets.length;
  for (const [index, target] of plan.targets.entries()) {
    const tell = (progress: BenchProgress): void | Promise<void> => {
      const fraction = (index + progress.fraction) / count;
      const elapsedMs = clock.now() - startMs;
      // The other targets take as long as this one and those before, as far as anybody knows.
      const leftMs = (elapsedMs * (1 - fraction)) / Math.max(fraction, Number.MIN_VALUE);
      const isLast = index === count - 1;
      const { leftMs: ownMs, ...rest } = progress;
      const left = ownMs === undefined ? {} : { leftMs: isLast ? ownMs : leftMs };
      return onBench?.({ ...rest, ...left, fraction, target, index });
    };
    const result = await settle(measureTarget(target, plan, { ...options, gpu, onBench: tell }));
    await untilFree(memory, () => clock.now());
    const { bytes, devices } = memory;
    const end = { target, left: { bytes, devices } };
    if ('value' in result) {
      yield { ...end, kind: 'done', report: result.value };
    } else if (signal?.aborted === true) {
      yield { ...end, kind: 'aborted' };
      return;
    } else {
      yield { ...end, kind: 'failed', error: result.error };
    }
  }
}

async function measureTarget(
  target: PlanTarget,
  { tests, repetitions, profiles, kv }: BenchPlan,
  options: Omit<PlanOptions, 'onBench'> & Pick<BenchOptions, 'onBench'>,
): Promise<BenchReport> {
  const { bundled, http, ...others } = options;
  const { model } = target;
  // Also where a plan is aborted between two targets.
  options.signal?.throwIfAborted();
  const own = locate(target, bundled, http);
  const kind = await targetKind(own, options.signal);
  const isNear = isShape(model) || model === BUNDLED_MODEL;
  const report = await runBench(own, {
    ...others,
    loadsAgain: options.loadsAgain ?? isNear,
    ...(own.kind === 'files' && { weights: storedForm(target) }),
    ...(kv && { kvDtype: kv }),
    tests: testsOfKind(kind, tests),
    repetitions,
    profiles,
  });
  return model === BUNDLED_MODEL ? { ...report, model: { ...report.model, name: model } } : report;
}

/** @throws {RequestError} if a model is of no known form */
function locate(
  { model, weights }: PlanTarget,
  bundled: PlanOptions['bundled'],
  http: HttpOptions | undefined,
): BenchTarget {
  if (isShape(model)) {
    const form = weights === 'auto' ? MADE_UP_FORM : weights;
    return { kind: 'shape', name: model, config: shapeConfig(model), form };
  }
  return { kind: 'files', source: resolveSource(model === BUNDLED_MODEL ? bundled : model, http) };
}

/** @throws {RequestError} if no file's weights are brought into this form */
function storedForm({ model, weights }: PlanTarget): WeightOption {
  const option = WEIGHT_OPTIONS.find((name) => name === weights);
  if (option !== undefined) return option;
  throw new RequestError(
    `bench: weights of ${model} are ${weights}, expected one of: ${WEIGHT_OPTIONS.join(', ')}; others are only for made-up weights`,
    { param: 'weights' },
  );
}

async function settle<T>(
  promise: Promise<T>,
): Promise<{ readonly value: T } | { readonly error: unknown }> {
  try {
    return { value: await promise };
  } catch (error) {
    return { error };
  }
}

/** What is aborted rejects at once, and frees the GPU when its last work has come back. */
async function untilFree(memory: GpuMemory, now: () => number): Promise<void> {
  const startMs = now();
  while (memory.devices > 0 && now() - startMs < FREEING_MS) {
    await new Promise((resolve) => {
      setTimeout(resolve, LOOK_MS);
    });
  }
}
