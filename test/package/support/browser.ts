import type { Browser, ConsoleMessage } from 'puppeteer-core';
import { afterAll, beforeAll, beforeEach, expect, type TestContext } from 'vitest';
import { findBrowser } from '../../../src/cli/browser/find.ts';
import { launchBrowser } from '../../../src/cli/browser/launch.ts';

/** What TinyChat says in 8 tokens. */
const REPLY = 'Once upon a time, there was a';

/** What `worker` is given to `Engine.load` for each thread. */
const WORKER_OPTIONS = { page: 'false', worker: 'true', 'shared-worker': '"shared"' } as const;

type Thread = keyof typeof WORKER_OPTIONS;

/**
 * Opens a browser for the tests of a file.
 *
 * @returns a function that opens an application once per thread and checks that it replies as the reference does, with
 *   nothing on its console
 */
export function useBrowser(): (address: string, threads?: readonly Thread[]) => Promise<void> {
  const found = findBrowser('chromium');
  let browser: Browser | undefined;
  beforeAll(async () => {
    if (found.path !== undefined) browser = await launchBrowser('chromium');
  });
  beforeEach((context: TestContext) => {
    if (found.path === undefined) context.skip(found.reason);
  });
  afterAll(() => browser?.close());

  return async (address, threads = ['page', 'worker', 'shared-worker']) => {
    if (browser === undefined) throw new Error('the browser is not open');
    for (const thread of threads) {
      const url = `${address}?worker=${WORKER_OPTIONS[thread]}`;
      const { value, complaints } = await openApp(browser, url);
      expect(complaints).toEqual([]);
      expect(value).toEqual({ text: REPLY, thread });
    }
  };
}

async function openApp(
  browser: Browser,
  url: string,
): Promise<{ readonly value: unknown; readonly complaints: readonly string[] }> {
  const page = await browser.newPage();
  const complaints: string[] = [];
  const listen = (message: ConsoleMessage): void => {
    const { url: from = '' } = message.location();
    // The browser asks for the icon, not the application. Violations of the Content-Security-Policy come as errors.
    if (!['error', 'warn'].includes(message.type()) || from.endsWith('/favicon.ico')) return;
    complaints.push(`${message.text()} (${from})`);
  };
  page.on('console', listen);
  page.on('pageerror', (error) => complaints.push(String(error)));
  try {
    await page.goto(url);
    const output = await page.waitForSelector('output', { timeout: 120_000 });
    const text = await output?.evaluate((element) => element.value);
    return { value: JSON.parse(text ?? ''), complaints };
  } catch (error) {
    throw new Error(`${url}: ${String(error)}; ${complaints.join('; ')}`, { cause: error });
  } finally {
    await page.close();
  }
}
