/** Measures what the plan says. @module */
import { type BenchReport, type PlanProgress, runPlan } from '../../src/bench/index.ts';
import { BUNDLED } from '../bundled.ts';
import { plan } from './address.ts';
import { nameOfTarget } from './models.ts';
import { gpuOfPage, keepScreenOn, painted, pageMemory, watchHidden } from './platform.ts';
import { describeFailure } from './problem.ts';
import { type Failure, failures, hasNews, lastRun, running, shown, store } from './state.ts';

/** How often loading is shown, in milliseconds: each time costs some of what is measured. */
const LOAD_EVERY_MS = 250;

/** Runs the plan and shows what comes of it. Errors are shown, never thrown; does nothing while a run is under way. */
export async function run(): Promise<void> {
  if (running.peek() !== undefined) return;
  const abort = new AbortController();
  const cancel = (): void => abort.abort();
  failures.value = [];
  lastRun.value = undefined;
  running.value = { cancel };
  const onBench = showProgress(cancel);
  const hidden = watchHidden();
  const screen = await keepScreenOn();
  const finished: BenchReport[] = [];
  const failed: Failure[] = [];
  let leftBytes = 0;
  try {
    // What the page showed before is gone by now.
    await painted();
    const options = {
      gpu: gpuOfPage(),
      clock: { now: () => performance.now() },
      bundled: new URL(BUNDLED.url, document.baseURI).href,
      signal: abort.signal,
      onBench,
      isHidden: hidden.wasHidden,
      pageMemory,
      runtime: navigator.userAgent,
    };
    for await (const outcome of runPlan(plan.peek(), options)) {
      leftBytes += outcome.left.bytes;
      if (outcome.kind === 'done') finished.push(outcome.report);
      else if (outcome.kind === 'failed') {
        failed.push(describeFailure(nameOfTarget(outcome.target), outcome.error));
      }
    }
  } catch (error) {
    if (!abort.signal.aborted) failed.push(describeFailure('', error));
  } finally {
    hidden.stop();
    screen.release();
  }
  failures.value = failed;
  lastRun.value = { isCancelled: abort.signal.aborted, reports: finished, leftBytes };
  if (finished.length > 0) {
    shown.value = store.add(finished, 'measured');
    hasNews.value = true;
  }
  running.value = undefined;
}

/** Shows how far a run is, and holds it up until that is on the screen, so that no repetition shares its time. */
function showProgress(cancel: () => void): (progress: PlanProgress) => Promise<void> | undefined {
  let shownAt = -Infinity;
  return (progress) => {
    const isLoading = progress.load !== undefined;
    const now = performance.now();
    if (isLoading && now - shownAt < LOAD_EVERY_MS) return;
    shownAt = now;
    running.value = { progress, cancel };
    return isLoading ? undefined : painted();
  };
}
