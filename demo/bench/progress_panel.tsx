import { useComputed } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { PlanProgress } from '../../src/bench/index.ts';
import { formatBytes } from '../wording.ts';
import { plan } from './address.ts';
import { nameOfTarget } from './models.ts';
import {
  describeNow,
  describeRest,
  describeRound,
  describeTask,
  percentOf,
} from './progress_wording.ts';
import { sentence } from './wording.ts';
import { lastRun, type Running, running } from './state.ts';

/** What is measured now, how far the run is, and how long it takes; or that it was given up. */
export function ProgressPanel(): JSX.Element | null {
  const ref = useRef<HTMLElement>(null);
  const isRunning = useComputed(() => running.value !== undefined).value;
  const wasRunning = useRef(false);
  useEffect(() => {
    // The button that was pressed is out of reach: its counterpart goes on.
    if (isRunning) {
      document.querySelector<HTMLElement>('#cancel')?.focus({ preventScroll: true });
      ref.current?.scrollIntoView({ block: 'nearest' });
    } else if (wasRunning.current && lastRun.peek()?.reports.length === 0) {
      document.querySelector<HTMLElement>('#run')?.focus();
    }
    wasRunning.current = isRunning;
  }, [isRunning]);
  const run = running.value;
  if (run === undefined) return <Cancelled />;
  return (
    <section ref={ref} class="progress-panel" aria-labelledby="progress-title">
      <Progress run={run} />
      <div class="progress-foot">
        <p class="quiet">
          Leave this page in front and the device alone: whatever else it does is measured too.
        </p>
        <button type="button" class="button" id="cancel" onClick={run.cancel}>
          Cancel
        </button>
      </div>
    </section>
  );
}

function Progress({ run: { progress } }: { readonly run: Running }): JSX.Element {
  const rest = progress && describeRest(progress);
  return (
    <>
      <div class="loading-head">
        <h2 id="progress-title">{progress === undefined ? 'Starting' : titleOf(progress)}</h2>
        <span>{progress === undefined ? 0 : percentOf(progress)} %</span>
      </div>
      {/* Read out once for each round of the tests, not for each test in it. */}
      <p class="visually-hidden" role="status">
        {progress && (describeRound(progress) ?? describeTask(progress))}
      </p>
      <progress aria-labelledby="progress-title" value={progress?.fraction ?? 0} max={1} />
      <div class="progress-lines">
        <p>{progress === undefined ? 'Getting ready.' : sentence(describeNow(progress))}</p>
        <p class="quiet">{rest === undefined ? 'How long it takes shows soon.' : sentence(rest)}</p>
      </div>
    </>
  );
}

function titleOf({ target, index }: PlanProgress): string {
  const count = plan.peek().targets.length;
  return `Measuring ${nameOfTarget(target)}${count > 1 ? ` (${index + 1} of ${count})` : ''}`;
}

function Cancelled(): JSX.Element | null {
  const end = lastRun.value;
  if (end?.isCancelled !== true) return null;
  return (
    <p class="run-end" role="status">
      Cancelled.{' '}
      {end.leftBytes === 0
        ? 'All GPU memory is free again.'
        : `${formatBytes(end.leftBytes)} of GPU memory are still in use: reload the page to free them.`}
    </p>
  );
}
