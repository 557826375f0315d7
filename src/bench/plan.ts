/** What a run is to measure, as data that an address can hold. @module */
import { KV_DTYPES, type KvDType } from '../kernels/kv_cache.ts';
import { WEIGHT_FORMS, type WeightForm } from '../kernels/matrix.ts';
import type { ModelKind } from '../models/family.ts';
import { RequestError } from '../util/errors.ts';
import { DEFAULT_TESTS, KINDS_OF_TESTS, parseTest, testName } from './bench_tests.ts';
import { SHAPES } from './shapes.ts';

/** Name of the model that comes with Quern. */
export const BUNDLED_MODEL = 'tinychat';
/** Form of made-up weights unless asked otherwise. */
export const MADE_UP_FORM: WeightForm = 'f16';

/** One model in one form. */
export interface PlanTarget {
  /** A name of `SHAPES`, {@link BUNDLED_MODEL}, or anything that `Engine.load` takes as text. */
  readonly model: string;
  /** `auto`: what the engine takes for files, {@link MADE_UP_FORM} for shapes. */
  readonly weights: WeightForm | 'auto';
}

export interface BenchPlan {
  /** In the order they are measured in. */
  readonly targets: readonly PlanTarget[];
  /** Names of tests; each model runs those of its kind. Absent: the defaults of each kind. */
  readonly tests?: readonly string[];
  readonly repetitions: number;
  /** Whether to measure each kernel after each test. */
  readonly profiles: boolean;
  /** Element type of the cache of keys and values; absent: what the engine takes. */
  readonly kv?: KvDType;
}

/** What an address without parameters stands for. */
export const DEFAULT_PLAN: BenchPlan = {
  targets: [{ model: 'smollm2-135m', weights: 'q4' }],
  repetitions: 5,
  profiles: false,
};

/** What a form can be in a plan. */
const FORMS: readonly PlanTarget['weights'][] = ['auto', ...WEIGHT_FORMS];
/** Repetitions of which more would be a slip of the pen. */
const MOST_REPETITIONS = 1000;

/**
 * Reads a plan from an address, such as `?model=smollm2-135m&weights=q4,f16&tests=pp64,tg32&repetitions=3&profile`.
 *
 * `model` and `weights` may be given several times: forms are those of the model before them; before any model, those of
 * every model without its own. What is left out is as in {@link DEFAULT_PLAN}, and `auto` for a model without forms.
 *
 * @throws {RequestError} if a value is none
 */
export function parsePlan(params: URLSearchParams): BenchPlan {
  const tests = params.get('tests');
  const kv = params.get('kv');
  const targets = parseTargets(params);
  return {
    targets: targets.length > 0 ? targets : DEFAULT_PLAN.targets,
    ...(tests !== null && { tests: tests.split(',').map((name) => testName(parseTest(name))) }),
    repetitions: parseRepetitions(params.get('repetitions')),
    profiles: params.has('profile') && params.get('profile') !== 'false',
    ...(kv !== null && { kv: choose('kv', kv, KV_DTYPES) }),
  };
}

/** The address of a plan: what {@link parsePlan} reads. */
export function planParams({
  targets,
  tests,
  repetitions,
  profiles,
  kv,
}: BenchPlan): URLSearchParams {
  const params = new URLSearchParams();
  let last: { readonly model: string; readonly forms: string[] } | undefined;
  const groups: { readonly model: string; readonly forms: string[] }[] = [];
  for (const { model, weights } of targets) {
    if (last?.model !== model) groups.push((last = { model, forms: [] }));
    last.forms.push(weights);
  }
  for (const { model, forms } of groups) {
    params.append('model', model);
    params.append('weights', forms.join(','));
  }
  if (tests !== undefined) params.append('tests', tests.join(','));
  params.append('repetitions', `${repetitions}`);
  if (profiles) params.append('profile', '');
  if (kv !== undefined) params.append('kv', kv);
  return params;
}

/**
 * The tests of a plan that models of a kind can run; all of them if it can run none, so that the error names them.
 *
 * @param tests - of the plan; undefined: the defaults of the kind
 */
export function testsOfKind(
  kind: ModelKind,
  tests: readonly string[] | undefined,
): readonly string[] {
  if (tests === undefined) return DEFAULT_TESTS[kind];
  const own = tests.filter((name) => KINDS_OF_TESTS[kind].includes(parseTest(name).kind));
  return own.length > 0 ? own : tests;
}

/** Whether a model is known by its sizes, so that its weights are made up. */
export function isShape(model: string): boolean {
  return Object.hasOwn(SHAPES, model);
}

function parseTargets(params: URLSearchParams): readonly PlanTarget[] {
  let shared: readonly PlanTarget['weights'][] = ['auto'];
  const groups: { model: string; forms?: readonly PlanTarget['weights'][] }[] = [];
  for (const [name, value] of params) {
    const last = groups.at(-1);
    if (name === 'model') groups.push({ model: parseModel(value) });
    if (name !== 'weights') continue;
    const forms = [...new Set(value.split(',').map((form) => choose('weights', form, FORMS)))];
    if (last === undefined) shared = forms;
    else last.forms = [...(last.forms ?? []), ...forms];
  }
  return groups.flatMap(({ model, forms = shared }) =>
    forms.map((weights) => ({ model, weights })),
  );
}

/** @throws {RequestError} if it is neither a name nor a repository or address */
function parseModel(text: string): string {
  const model = text.trim();
  if (isShape(model) || model === BUNDLED_MODEL || model.includes('/')) return model;
  throw new RequestError(
    `bench: model is ${JSON.stringify(text)}, expected a repository (owner/name), an address or one of: ${BUNDLED_MODEL}, ${Object.keys(SHAPES).join(', ')}`,
    { param: 'model' },
  );
}

function parseRepetitions(text: string | null): number {
  if (text === null) return DEFAULT_PLAN.repetitions;
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= MOST_REPETITIONS) return count;
  throw new RequestError(
    `bench: repetitions is ${JSON.stringify(text)}, expected an integer from 1 to ${MOST_REPETITIONS}`,
    { param: 'repetitions' },
  );
}

function choose<T extends string>(param: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((name) => name === text);
  if (choice !== undefined) return choice;
  throw new RequestError(
    `bench: ${param} is ${JSON.stringify(text)}, expected one of: ${choices.join(', ')}`,
    { param },
  );
}
