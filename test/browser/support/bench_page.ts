/** What a user does on the benchmark page, and sees. @module */
import type { Page } from 'puppeteer-core';
import type { BenchReport } from '../../../src/bench/report.ts';

/** The address of a run that takes seconds on a software adapter. */
export const SMALL_RUN = '/bench.html?model=tiny&weights=q4&tests=pp16,tg8&repetitions=2';

/** Longest wait for a run of {@link SMALL_RUN} on a busy machine. */
const LONG_PATIENCE = { timeout: 150_000, polling: 50 } as const;

/** Counts GPU memory at the calls themselves; for a page's `evaluateOnNewDocument`. */
export function countGpuBytes(): void {
  const devices = new Map<object, Map<object, number>>();
  // Called with its adapter.
  // oxlint-disable-next-line typescript/unbound-method
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (descriptor) {
    const device = await requestDevice.call(this, descriptor);
    const buffers = new Map<object, number>();
    devices.set(device, buffers);
    const createBuffer = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const buffer = createBuffer(descriptor);
      buffers.set(buffer, buffer.size);
      const destroy = buffer.destroy.bind(buffer);
      buffer.destroy = () => {
        buffers.delete(buffer);
        return destroy();
      };
      return buffer;
    };
    const destroyAll = device.destroy.bind(device);
    device.destroy = () => {
      devices.delete(device);
      return destroyAll();
    };
    return device;
  };
  Object.assign(globalThis, {
    gpuBytes: () =>
      [...devices.values()].flatMap((of) => [...of.values()]).reduce((sum, size) => sum + size, 0),
    loseDevices: () => [...devices.keys()].forEach((device) => (device as GPUDevice).destroy()),
  });
}

/** Takes what the page would copy, which is not possible without a person; for `evaluateOnNewDocument`. */
export function keepCopies(): void {
  const copied: string[] = [];
  Object.assign(globalThis, { copied });
  Object.defineProperty(navigator, 'clipboard', {
    value: { writeText: async (text: string) => copied.push(text) },
  });
}

/** Bytes of GPU memory that are alive. */
export function gpuBytes(page: Page): Promise<number> {
  return page.evaluate('gpuBytes()') as Promise<number>;
}

/** Waits until the page is in a state that it tells of itself. */
export async function isInState(page: Page, ...states: readonly string[]): Promise<string> {
  await page.waitForFunction(
    (states) => states.includes(document.documentElement.dataset['bench'] ?? ''),
    LONG_PATIENCE,
    states,
  );
  return page.evaluate(() => document.documentElement.dataset['bench'] ?? '');
}

/** The reports of the last run. */
export function finishedReports(page: Page): Promise<readonly BenchReport[]> {
  return page.$eval('#reports', ({ textContent }) => {
    const set: unknown = JSON.parse(textContent);
    return (set as { reports: readonly BenchReport[] }).reports;
  });
}

/** What the table of tests says of one. */
export function figuresOf(page: Page, test: string): Promise<string> {
  return page.$$eval(
    '.tests tbody tr',
    (rows, test) =>
      rows.find((row) => row.firstElementChild?.firstChild?.textContent === test)?.textContent ??
      '',
    test,
  );
}

/** Presses Tab until an element has the focus. */
export async function tabTo(page: Page, selector: string): Promise<void> {
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press('Tab');
    const isThere = await page.evaluate(
      (selector) => document.activeElement?.matches(selector) === true,
      selector,
    );
    if (isThere) return;
  }
  throw new Error(`${selector} is not reached by the keyboard`);
}
