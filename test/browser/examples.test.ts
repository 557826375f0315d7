import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'puppeteer-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findBrowser } from '../../src/cli/browser/find.ts';
import { launchBrowser } from '../../src/cli/browser/launch.ts';
import { startServer, type TestServer } from './support/server.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
/** Longest wait for a model or a reply, on a software adapter that shares its cores. */
const PATIENCE = { timeout: 90_000, polling: 50 };

describe('the example pages in chromium', () => {
  const found = findBrowser('chromium');
  let served: TestServer;
  let browser: Browser;
  beforeAll(async () => {
    if (found.path === undefined) return;
    const configFile = `${REPOSITORY}vite.config.ts`;
    served = await startServer({
      configFile,
      root: `${REPOSITORY}examples`,
      // What Vite adds to JSX, and finds only when it is too late for a page that is not reloaded.
      optimizeDeps: { include: ['react/jsx-dev-runtime'] },
    });
    browser = await launchBrowser('chromium');
  });
  beforeEach((context) => {
    if (found.path === undefined) context.skip(found.reason);
  });
  afterAll(async () => {
    await browser?.close();
    await served?.close();
  });

  /** Opens an example on a phone's screen; checks in the end that nothing went wrong in it and all of it fits. */
  async function visit(name: string, use: (page: Page) => Promise<void>): Promise<void> {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text());
    });
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.setViewport({ width: 390, height: 844 });
    await page.goto(`${served.origin}/${name}/`);
    await use(page).catch((error: unknown) => {
      throw new Error(`${name}: ${String(error)} ${errors.join('\n')}`, { cause: error });
    });
    expect(errors).toEqual([]);
    const widths = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    expect(widths[0]).toBeLessThanOrEqual(widths[1] ?? 0);
    await page.close();
  }

  const textOf = (page: Page, selector: string): Promise<string> =>
    page.$eval(selector, (element) => element.textContent ?? '');

  /** Waits until the text of an element matches. */
  async function shows(page: Page, selector: string, pattern: RegExp): Promise<void> {
    const isShown = (selector: string, source: string): boolean =>
      new RegExp(source, 'i').test(document.querySelector(selector)?.textContent ?? '');
    await page.waitForFunction(isShown, PATIENCE, selector, pattern.source).catch(async () => {
      throw new Error(`${selector} shows ${await textOf(page, 'body')}, expected ${pattern}`);
    });
  }

  const canSend = async (page: Page): Promise<void> => {
    await page.waitForSelector('form button:not([type]):enabled', PATIENCE);
  };

  it('minimal', async () => {
    await visit('minimal', async (page) => {
      await shows(page, '#status', /^ready/);
      await page.click('button');
      await shows(page, '#reply', /[a-z]{3}/);
      await canSend(page);
      expect(await textOf(page, '#error')).toBe('');
    });
  });

  it('worker', async () => {
    await visit('worker', async (page) => {
      for (const [value, thread] of [
        ['worker', /: worker$/],
        ['shared', /: shared-worker$/],
      ] as const) {
        await page.select('select', value);
        await shows(page, '#status', thread);
        await page.click('button');
        await shows(page, '#reply', /[a-z]{3}/);
        await canSend(page);
      }
      expect(await textOf(page, '#error')).toBe('');
    });
  });

  it('react, in strict mode', async () => {
    await visit('react', async (page) => {
      await shows(page, '[role=status]', /^ready$/);
      await page.type('input', 'Hello!');
      await page.keyboard.press('Enter');
      await shows(page, '.assistant', /[a-z]{3}/);
      await shows(page, '[role=status]', /^ready$/);
      await page.type('input', 'Tell me a long story.');
      await page.keyboard.press('Enter');
      await shows(page, '.assistant:nth-of-type(4)', /[a-z]{3}/);
      // Neither Enter meanwhile nor the click on Stop sends what is being written.
      await page.type('input', 'And');
      await page.keyboard.press('Enter');
      await (await page.waitForSelector('::-p-text(Stop)'))?.click();
      await shows(page, '[role=status]', /^ready$/);
      expect(await page.$$eval('.turn', (turns) => turns.length)).toBe(4);
      await (await page.waitForSelector('::-p-text(Regenerate)'))?.click();
      await shows(page, '[role=status]', /^(submitted|streaming)$/);
      await shows(page, '[role=status]', /^ready$/);
      expect(await page.$$eval('.turn', (turns) => turns.length)).toBe(4);
    });
  });

  it('ai-sdk', async () => {
    await visit('ai-sdk', async (page) => {
      await shows(page, '#status', /^ready$/);
      await page.click('form button');
      await shows(page, '.assistant', /[a-z]{3}/);
      await page.click('#stop');
      await shows(page, '#status', /^ready$/);
      await page.click('#once');
      await shows(page, '#text', /[a-z]{3}/);
      expect(await textOf(page, '#error')).toBe('');
    });
  });
});
