import type { Browser, Page } from 'puppeteer-core';
import { afterAll, beforeAll, beforeEach, describe, type TestContext } from 'vitest';
import { launchBrowser } from '../../../src/cli/browser/launch.ts';
import { BROWSERS, type BrowserName, findBrowser } from '../../../src/cli/browser/find.ts';
import { startServer, type TestServer } from './server.ts';

/**
 * Runs a block of tests once in every browser; tests in a browser that is not installed are skipped with the reason.
 *
 * @param block - gets a function that opens a path of the server in a new page, which is closed after the block; its
 *   second parameter is called with the page before anything is loaded into it
 * @param server - what is served; the repository unless given
 */
export function describeInBrowsers(
  title: string,
  block: (
    open: (path: string, prepare?: (page: Page) => Promise<void>) => Promise<Page>,
    name: BrowserName,
  ) => void,
  server?: Parameters<typeof startServer>[0],
): void {
  describe.each(BROWSERS)(`${title} in %s`, (name) => {
    const found = findBrowser(name);
    let served: TestServer | undefined;
    let browser: Browser | undefined;
    beforeAll(async () => {
      if (found.path === undefined) return;
      served = await startServer(server);
      browser = await launchBrowser(name);
    });
    beforeEach((context: TestContext) => {
      if (found.path === undefined) context.skip(found.reason);
    });
    afterAll(async () => {
      await browser?.close();
      await served?.close();
    });

    block(async (path, prepare) => {
      if (browser === undefined || served === undefined) throw new Error(`${name} is not open`);
      const page = await browser.newPage();
      await prepare?.(page);
      await page.goto(served.origin + path);
      return page;
    }, name);
  });
}
