/** What programs that drive the page read of it: attributes of the root element. @module */
import { effect } from '@preact/signals';
import { describeProgress } from './progress_wording.ts';
import { failures, lastRun, running } from './state.ts';

/**
 * Keeps `data-bench` (`ready`, `running`, `done` or `failed`), `data-bench-progress` and `data-bench-problem` up to
 * date. What was finished is in `#reports`, as JSON.
 */
export function tellPrograms(): void {
  const { dataset } = document.documentElement;
  effect(() => {
    dataset['bench'] = stateOf();
    const run = running.value;
    if (run === undefined) delete dataset['benchProgress'];
    else dataset['benchProgress'] = describeProgress(run.progress);
    const problem = failures.value.map(({ target, error }) => `${target} ${error}`.trim());
    if (problem.length > 0) dataset['benchProblem'] = problem.join('; ');
    else if (lastRun.value?.isCancelled === true) dataset['benchProblem'] = 'cancelled';
    else delete dataset['benchProblem'];
  });
}

function stateOf(): string {
  if (running.value !== undefined) return 'running';
  if (failures.value.length > 0 || lastRun.value?.isCancelled === true) return 'failed';
  return lastRun.value === undefined ? 'ready' : 'done';
}
