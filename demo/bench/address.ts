/** What is to be measured, as the page's address says it. @module */
import { effect, type Signal, signal } from '@preact/signals';
import {
  type BenchPlan,
  BUNDLED_MODEL,
  DEFAULT_PLAN,
  parsePlan,
  planParams,
  type PlanTarget,
} from '../../src/bench/index.ts';
import { describeFailure } from './problem.ts';
import { failures, running } from './state.ts';

/** What an address without parameters stands for here. Short enough for a phone, long enough to mean something. */
const START_PLAN: BenchPlan = {
  ...DEFAULT_PLAN,
  tests: ['pp128', 'tg32', 'enc128'],
  profiles: true,
};

let start = START_PLAN;

/** What the next run measures. */
export const plan: Signal<BenchPlan> = signal(start);

/** Models and forms that are chosen. They outlive a plan without targets, which has lost one of the two. */
export const models: Signal<readonly string[]> = signal(modelsOf(START_PLAN));
export const forms: Signal<readonly PlanTarget['weights'][]> = signal(formsOf(START_PLAN));

/** Measures every model in every form. */
export function chooseTargets(
  chosenModels: readonly string[],
  chosenForms: readonly PlanTarget['weights'][],
): void {
  models.value = chosenModels;
  forms.value = chosenForms;
  const targets = chosenModels.flatMap((model) =>
    chosenForms.map((weights) => ({ model, weights })),
  );
  plan.value = { ...plan.peek(), targets };
}

/** Starts with a model that a processor can run in a minute, unless something was chosen already. */
export function startSmall(): void {
  if (plan.peek() !== start || running.peek() !== undefined) return;
  models.value = [BUNDLED_MODEL];
  start = { ...start, targets: forms.peek().map((weights) => ({ model: BUNDLED_MODEL, weights })) };
  plan.value = start;
}

/**
 * Takes the plan of the address, and from then on keeps the address in line with the plan, so that it can be passed on.
 *
 * @returns whether the address asks to run it at once
 */
export function readAddress(): boolean {
  const params = new URLSearchParams(location.search);
  const isToRun = params.has('run');
  params.delete('run');
  let isUnderstood = true;
  try {
    if (params.size > 0) {
      plan.value = parsePlan(params);
      models.value = modelsOf(plan.value);
      forms.value = formsOf(plan.value);
    }
  } catch (error) {
    isUnderstood = false;
    failures.value = [describeFailure('', error)];
  }
  let isFirst = true;
  effect(() => {
    const isStart = plan.value === start;
    const search = isStart ? '' : `?${String(planParams(plan.value))}`;
    // Where the page was opened, everything stays as it was typed.
    if (!isFirst)
      history.replaceState(history.state, '', location.pathname + search + location.hash);
    isFirst = false;
  });
  return isToRun && isUnderstood;
}

function modelsOf({ targets }: BenchPlan): readonly string[] {
  return [...new Set(targets.map(({ model }) => model))];
}

function formsOf({ targets }: BenchPlan): readonly PlanTarget['weights'][] {
  return [...new Set(targets.map(({ weights }) => weights))];
}
