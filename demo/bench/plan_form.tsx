import type { JSX } from 'preact';
import { parseTest, type PlanTarget } from '../../src/bench/index.ts';
import { formatBytes } from '../wording.ts';
import { adapter } from './adapter.ts';
import { plan } from './address.ts';
import { ModelChoice } from './model_choice.tsx';
import {
  isDownload,
  nameOfForm,
  nameOfModel,
  nameOfTarget,
  testsFor,
  weightBytes,
} from './models.ts';
import { RepetitionChoice } from './repetition_choice.tsx';
import { run } from './run.ts';
import { TestChoice } from './test_choice.tsx';
import { describeTest } from './wording.ts';

/** So many models are named with their forms, each by itself. */
const FEW = 3;

/** What is to be measured, in words; the button that measures it; and ways to change it. */
export function PlanForm(): JSX.Element {
  const isComplete = plan.value.targets.length > 0 && plan.value.tests?.length !== 0;
  return (
    <section class="plan" aria-labelledby="plan-title">
      <h2 id="plan-title" class="visually-hidden">
        What is measured
      </h2>
      <div class="plan-head">
        <Summary />
        <button
          type="button"
          id="run"
          class="button primary"
          disabled={!isComplete}
          onClick={() => void run()}
        >
          Run
        </button>
      </div>
      <details class="plan-details">
        <summary>Change what is measured</summary>
        <div class="choices">
          <ModelChoice />
          <TestChoice />
          <RepetitionChoice />
        </div>
      </details>
    </section>
  );
}

function Summary(): JSX.Element {
  const { targets, tests, repetitions, profiles } = plan.value;
  const models = [...new Set(targets.map(({ model }) => model))];
  const downloads = models.filter(isDownload);
  const bytes = Math.max(...targets.map(weightBytes));
  return (
    <dl class="plan-facts">
      <div>
        <dt>Model</dt>
        <dd>
          {describeTargets(targets)}
          <span class="quiet">
            {[
              bytes > 0
                ? `${targets.length > 1 ? 'up to ' : ''}${formatBytes(bytes)} of weights`
                : '',
              downloads.length > 0 ? `downloads ${downloads.join(', ')}` : 'no download',
            ]
              .filter(Boolean)
              .join(', ')}
          </span>
        </dd>
      </div>
      <div>
        <dt>Tests</dt>
        <dd>
          {describeTests(models, tests)}
          <span class="quiet">
            {repetitions === 1 ? 'once' : `${repetitions} times`} each, after once to warm up
            {profiles && ', then every kernel by itself'}
          </span>
        </dd>
      </div>
      <div>
        <dt>On</dt>
        <dd>
          {adapter.value?.name ?? 'this device'}
          {adapter.value?.isSoftware === true && (
            <span class="quiet">
              No GPU is in use, so what follows is the speed of the processor.
            </span>
          )}
        </dd>
      </div>
    </dl>
  );
}

function describeTargets(targets: readonly PlanTarget[]): string {
  if (targets.length === 0) return 'none';
  if (targets.length <= FEW) return targets.map(nameOfTarget).join(', ');
  const models = new Set(targets.map(({ model }) => nameOfModel(model)));
  const forms = new Set(targets.map(({ weights }) => nameOfForm(weights)));
  return `${[...models].join(', ')}, in ${[...forms].join(', ')}`;
}

function describeTests(models: readonly string[], tests: readonly string[] | undefined): string {
  if (tests === undefined) return 'the usual ones of each model';
  if (tests.length === 0) return 'none';
  const does = testsFor(models, tests).map((test) => describeTest(parseTest(test)));
  return `It ${does.join(', ')}`;
}
