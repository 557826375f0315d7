import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { reportSet, SHAPES } from '../../src/bench/index.ts';
import { DropTarget } from '../components/drop_target.tsx';
import { Icon, Mark } from '../components/icons.tsx';
import { ThemeSwitch } from '../components/theme_switch.tsx';
import { Toasts } from '../components/toasts.tsx';
import { showToast } from '../components/ui.ts';
import { models } from './address.ts';
import { Failures } from './failures.tsx';
import { isDownload } from './models.ts';
import { PlanForm } from './plan_form.tsx';
import { ProgressPanel } from './progress_panel.tsx';
import type { BenchRecord } from './records/record_store.ts';
import { Records } from './records/records.tsx';
import { Results } from './results.tsx';
import { SharedResult } from './records/shared_result.tsx';
import { failures, hasNews, lastRun, running, shown, store } from './state.ts';

/** The whole page. */
export function App(): JSX.Element {
  useEscape();
  const isRunning = running.value !== undefined;
  return (
    <>
      <div class="bench">
        <Header />
        <main class="bench-main">
          <Intro />
          <div hidden={isRunning}>
            <PlanForm />
          </div>
          <ProgressPanel />
          <Failures />
          <SharedResult store={store} onShow={show} />
          {/* Whatever is drawn during a run takes its time from what is measured. */}
          {isRunning ? (
            <DropTarget text="Drop it when the run is over" onDrop={refuse} />
          ) : (
            <>
              {shown.value !== undefined && <Results record={shown.value} />}
              <Records store={store} current={shown.value?.id} onShow={show} />
            </>
          )}
        </main>
      </div>
      <Finished />
      <Toasts />
    </>
  );
}

/** A file that a browser opened instead would end the run. */
function refuse(): void {
  showToast({ text: 'Not while something is measured: drop it again when the run is over.' });
}

function show(record: BenchRecord | undefined): void {
  failures.value = [];
  shown.value = record;
  hasNews.value = record !== undefined;
}

/** What the last run of this page came to, for programs that drive it. */
function Finished(): JSX.Element | null {
  const finished = lastRun.value?.reports ?? [];
  if (finished.length === 0) return null;
  return (
    <script type="application/json" id="reports">
      {JSON.stringify(reportSet(finished))}
    </script>
  );
}

function Header(): JSX.Element {
  return (
    <header class="bench-header">
      <a class="bench-brand" href="./" aria-label="Quern">
        <Mark />
        <span>Quern</span>
      </a>
      <nav aria-label="Pages">
        <a href="./">Chat</a>
        <a href="./bench.html" aria-current="page">
          Benchmark
        </a>
      </nav>
      <ThemeSwitch />
    </header>
  );
}

function Intro(): JSX.Element {
  return (
    <section class="intro">
      <h1>How fast is this device?</h1>
      <p>
        Runs language models of well-known sizes on your GPU, here in the page, and measures how
        fast they are – and how near that is to what the GPU can do at all.
      </p>
      <ul class="promises">
        {!models.value.some(isDownload) && (
          <li>
            <Icon name="check" />
            Nothing to download
            {models.value.every((model) => Object.hasOwn(SHAPES, model)) &&
              ': weights are made up, since only their number counts'}
          </li>
        )}
        <li>
          <Icon name="check" />
          Nothing is sent anywhere
        </li>
      </ul>
    </section>
  );
}

/** Escape gives up the run, unless it closes something first. */
function useEscape(): void {
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      if (event.key !== 'Escape' || event.defaultPrevented) return;
      if (document.querySelector(':popover-open, dialog[open]') !== null) return;
      running.peek()?.cancel();
    };
    document.addEventListener('keydown', listen);
    return () => document.removeEventListener('keydown', listen);
  }, []);
}
