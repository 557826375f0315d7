import type { JSX } from 'preact';
import { deviceMarkdown, readDevice } from '../../src/bench/index.ts';
import { copyText } from '../components/clipboard.ts';
import { Icon } from '../components/icons.tsx';
import { ProblemBox } from '../components/problem_box.tsx';
import { showToast } from '../components/ui.ts';
import { failures } from './state.ts';

/** What could not be measured, and why. */
export function Failures(): JSX.Element | null {
  if (failures.value.length === 0) return null;
  return (
    <>
      {failures.value.map(({ target, problem }) => (
        <ProblemBox
          key={target}
          problem={target === '' ? problem : { ...problem, title: `${target}: ${problem.title}` }}
          onAction={() => undefined}
        />
      ))}
      {'gpu' in navigator && (
        <div>
          <button type="button" class="button" onClick={() => void copyDevice()}>
            <Icon name="copy" />
            Copy the device for a bug report
          </button>
        </div>
      )}
    </>
  );
}

/** Without a report there is no device in it: it is opened for this alone. */
async function copyDevice(): Promise<void> {
  try {
    const clock = { now: () => performance.now() };
    const device = await readDevice(navigator.gpu, clock, navigator.userAgent);
    await copyText(deviceMarkdown({ adapter: device, device }));
  } catch (error) {
    showToast({ text: `The device cannot be opened: ${String(error)}`, durationMs: 8000 });
  }
}
