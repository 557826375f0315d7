/** The benchmark page. @module */
import { effect } from '@preact/signals';
import { render } from 'preact';
import { showToast } from '../components/ui.ts';
import { keepForOffline, newVersion } from '../service_worker.ts';
import { adapter, findAdapter } from './adapter.ts';
import { readAddress, startSmall } from './address.ts';
import { App } from './app.tsx';
import { tellPrograms } from './automation.ts';
import { describeFailure } from './problem.ts';
import { run } from './run.ts';
import { failures } from './state.ts';

const isToRun = readAddress();
const root = document.querySelector('#app');
if (root !== null) render(<App />, root);

tellPrograms();
effect(() => {
  const change = newVersion.value;
  if (change === undefined) return;
  showToast({
    text: 'A new version of the page is ready.',
    action: { label: 'Reload', run: change },
  });
});

try {
  await findAdapter();
  if (adapter.value?.isSoftware === true) startSmall();
} catch (error) {
  failures.value = [describeFailure('', error)];
}
// Without a GPU it says the same once more.
if (isToRun) await run();
// It fetches all of the site, which would disturb what is measured.
await keepForOffline();
