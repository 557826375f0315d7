/** Contests in a page of a headless browser. @module */
import type { Browser, Page } from 'puppeteer-core';
import type { BrowserName } from '../src/cli/browser/find.ts';
import { callInPage, launchBrowser, type BrowserAdapter } from '../src/cli/browser/launch.ts';
import type { CompareOptions } from './compare.ts';
import type { PageOptions, Terminal } from './page/measure.ts';
import { cpuTimeOf } from './process_times.ts';
import type { Report } from './report.ts';
import { servePage } from './serve.ts';

interface BrowserOptions extends Omit<PageOptions, 'runtime'> {
  readonly browser: BrowserName;
  readonly adapter: BrowserAdapter;
  readonly port: number;
}

type Listeners = Pick<CompareOptions, 'onStart' | 'onOutcome' | 'onSkipped'>;

/** @throws if the browser is not installed, has no WebGPU, or a model does not run in it with the same results */
export async function compareInBrowser(
  { browser: name, adapter, port, kinds, filter, repetitions }: BrowserOptions,
  listeners: Listeners,
): Promise<Report> {
  const server = await servePage(port);
  let browser: Browser | undefined;
  try {
    browser = await launchBrowser(name, adapter);
    const page = await browser.newPage();
    const report = await connect(browser, page, listeners);
    await page.goto(server.address);
    const runtime = await browser.version();
    const options: PageOptions = { kinds, filter, repetitions, runtime };
    await callInPage(page, '/measure.ts', 'measureForTerminal', options);
    return await report.promise;
  } finally {
    await browser?.close();
    await server.close();
  }
}

/** Gives the page its {@link Terminal}. */
async function connect(
  browser: Browser,
  page: Page,
  { onStart, onOutcome, onSkipped }: Listeners,
): Promise<{ readonly promise: Promise<Report> }> {
  let tellEnd: Terminal['tellEnd'] = () => {};
  const promise = new Promise<Report>((resolve, reject) => {
    tellEnd = (end) => ('report' in end ? resolve(end.report) : reject(new Error(end.failure)));
    page.on('error', reject); // The page crashed.
    browser.on('disconnected', () => reject(new Error('the browser ended before the comparison')));
  });
  // Whoever waits for it comes later.
  promise.catch(() => {});
  const id = browser.process()?.pid;
  const terminal: Terminal = {
    readCpu: () => Promise.resolve(id === undefined ? null : cpuTimeOf(id)),
    tellStart: (about) => onStart?.(about),
    tellOutcome: (outcome) => onOutcome?.(outcome),
    tellSkipped: (skipped) => onSkipped?.(skipped),
    tellEnd,
  };
  for (const [name, call] of Object.entries(terminal)) await page.exposeFunction(name, call);
  return { promise };
}
