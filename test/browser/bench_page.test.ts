import { fileURLToPath } from 'node:url';
import type { Page } from 'puppeteer-core';
import { afterEach, expect, it } from 'vitest';
import {
  countGpuBytes,
  figuresOf,
  finishedReports,
  gpuBytes,
  isInState,
  keepCopies,
  SMALL_RUN,
  tabTo,
} from './support/bench_page.ts';
import { accessibilityProblems, listen, PATIENCE, press, textOf } from './support/chat_page.ts';
import { describeInBrowsers } from './support/in_browsers.ts';

const configFile = fileURLToPath(new URL('../../vite.config.ts', import.meta.url));

/** A folder of this name has the configuration of a model that nobody knows. */
const STRANGER = '/stranger/';

describeInBrowsers(
  'the benchmark page',
  (open, name) => {
    let complaints: string[] = [];
    let page: Page | undefined;
    async function openBench(path: string, first?: string): Promise<Page> {
      return open(path, async (page) => {
        complaints = listen(page);
        await page.evaluateOnNewDocument(countGpuBytes);
        await page.evaluateOnNewDocument(keepCopies);
        if (first !== undefined) await page.evaluateOnNewDocument(first);
        await page.setViewport({ width: 1280, height: 800 });
      });
    }
    /** Goes there in the one page that most tests share. */
    async function visit(path: string): Promise<Page> {
      if (page === undefined) return (page = await openBench(path));
      await page.goto(new URL(path, page.url()).href);
      return page;
    }
    afterEach(() => expect(complaints).toEqual([]));

    it('measures by the keyboard alone, and leaves no GPU memory behind', async () => {
      // In Firefox each of many waits for the GPU takes long.
      const isProfiled = name === 'chromium';
      const page = await visit(SMALL_RUN + (isProfiled ? '&profile' : ''));
      expect(await isInState(page, 'ready')).toBe('ready');
      expect(await textOf(page, '.plan-facts')).toMatch(/tiny in 4 bits[^]*prompt of 16 tokens/);
      await tabTo(page, '#run');
      await page.keyboard.press('Enter');
      await isInState(page, 'running');
      await page.waitForSelector('#cancel:focus');
      expect(await isInState(page, 'done', 'failed')).toBe('done');
      await page.waitForSelector('#results-title:focus');
      expect(await gpuBytes(page)).toBe(0);

      const [report] = await finishedReports(page);
      expect(report?.results.map(({ test }) => test)).toEqual(['pp16', 'tg8']);
      for (const { test, tokensPerSecond, limit, profile } of report?.results ?? []) {
        expect(tokensPerSecond.runs).toHaveLength(2);
        expect(limit?.share).toBeGreaterThan(0);
        if (isProfiled) expect(profile?.kernels.length).toBeGreaterThan(5);
        const shown = tokensPerSecond.median.toLocaleString('en', { maximumSignificantDigits: 3 });
        expect(await figuresOf(page, test)).toContain(shown);
      }
      // What the browsers run on here.
      expect(await textOf(page, '.doubts')).toContain('computes on the processor');
    });
    // The smoke test of the others ends here.
    if (name !== 'chromium') return;

    it('tells the formula of a limit, and is at ease on a phone', async () => {
      if (page === undefined) throw new Error('needs the results of the test before');
      await tabTo(page, '.limit');
      await page.keyboard.press('Enter');
      await page.waitForSelector('.formula:popover-open');
      expect(await textOf(page, '.formula:popover-open')).toMatch(/GFLOP|GB/);
      await page.keyboard.press('Escape');
      await page.waitForSelector('.limit:focus');
      await page.$$eval('details', (all) => all.forEach((one) => (one.open = true)));
      expect(await accessibilityProblems(page)).toEqual([]);
      await page.setViewport({ width: 390, height: 844 });
      await page.waitForFunction(() => innerWidth === 390);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
      expect(await accessibilityProblems(page)).toEqual([]);
      await page.setViewport({ width: 1280, height: 800 });
    });

    it('keeps what is to be measured in its address', async () => {
      const page = await visit(SMALL_RUN);
      await page.click('.plan-details > summary');
      await press(page, '.test-list', 'Remove pp16');
      await page.select('.new-test select', 'decode');
      await page.$eval('.new-test [name=tokens]', (field) => {
        (field as HTMLInputElement).value = '8';
      });
      await page.$eval('.new-test [name=times]', (field) => {
        (field as HTMLInputElement).value = '2';
      });
      await press(page, '.new-test', 'Add');
      expect(await textOf(page, '.plan-facts')).toContain('writes 2 replies of 8 tokens at once');
      expect(decodeURIComponent(page.url())).toContain('tests=tg8,tg8x2');
      await page.click('.option ::-p-text(tiny)');
      expect(await page.$eval('#run', (run) => (run as HTMLButtonElement).disabled)).toBe(true);
      await page.type('#repository', 'no/such/thing');
      await page.keyboard.press('Enter');
      expect(await textOf(page, '#repository-wrong')).toContain('owner/name');
      expect(await accessibilityProblems(page)).toEqual([]);
    });

    it('gives up at once, and frees all', async () => {
      const page = await visit(SMALL_RUN.replace('tg8', 'tg512'));
      await press(page, '.plan', 'Run');
      await page.waitForFunction(
        () => document.documentElement.dataset['benchProgress']?.includes('writes') === true,
        PATIENCE,
      );
      expect(await accessibilityProblems(page)).toEqual([]);
      expect(await gpuBytes(page)).toBeGreaterThan(0);
      await page.keyboard.press('Escape');
      expect(await isInState(page, 'failed')).toBe('failed');
      expect(await textOf(page, '.run-end')).toBe('Cancelled. All GPU memory is free again.');
      expect(await gpuBytes(page)).toBe(0);
      await page.waitForSelector('#run:focus');
    });

    it.each([
      [STRANGER, 'no model that Quern can run', /ConfigError.*strangest/],
      ['/nothing/', 'no model that Quern can run', /config\.json: missing/],
    ])('says what is wrong with %s', async (folder, title, detail) => {
      const page = await visit(`/bench.html?model=${folder}&run`);
      expect(await isInState(page, 'failed', 'done')).toBe('failed');
      expect(await textOf(page, '.problem h2')).toContain(title);
      expect(await textOf(page, '.problem pre')).toMatch(detail);
      expect(await page.evaluate(() => document.documentElement.dataset['benchProblem'])).toMatch(
        detail,
      );
      expect(await accessibilityProblems(page)).toEqual([]);
      // Such as the address of a file that is not there.
      complaints.length = 0;
    });

    it('starts with what a processor can run where there is no GPU', async () => {
      const page = await visit('/bench.html');
      await page.waitForFunction(
        () => document.querySelector('.plan-facts')?.textContent.includes('TinyChat') === true,
        PATIENCE,
      );
      expect(await textOf(page, '.plan-facts')).toContain('No GPU is in use');
      expect(new URL(page.url()).search).toBe('');
      expect(await accessibilityProblems(page)).toEqual([]);
    });

    it('says what is wrong with an address', async () => {
      const page = await visit('/bench.html?model=tiny&tests=nonsense&run');
      await isInState(page, 'failed');
      expect(await textOf(page, '.problem pre')).toContain('test is "nonsense"');
    });

    it('names a GPU that was lost, and goes on', async () => {
      const page = await visit(SMALL_RUN.replace('tg8', 'tg512'));
      await press(page, '.plan', 'Run');
      await page.waitForFunction(
        () => document.documentElement.dataset['benchProgress']?.includes('writes') === true,
        PATIENCE,
      );
      await page.evaluate('loseDevices()');
      await isInState(page, 'failed');
      expect(await textOf(page, '.problem h2')).toContain('took the GPU away');
      expect(await page.$eval('#run', (run) => (run as HTMLButtonElement).disabled)).toBe(false);
      await press(page, '.bench-main', 'Copy the device for a bug report');
      await page.waitForFunction('copied.length === 1', PATIENCE);
      expect(await page.evaluate('copied[0]')).toMatch(/swiftshader[^]*maxBufferSize/i);
    });

    it('says what to do without WebGPU', async () => {
      const poor = await openBench(
        '/bench.html',
        'Reflect.deleteProperty(Navigator.prototype, "gpu")',
      );
      await press(poor, '.plan', 'Run');
      await isInState(poor, 'failed');
      expect(await textOf(poor, '.problem')).toMatch(/cannot use WebGPU/);
      expect(await accessibilityProblems(poor)).toEqual([]);
      await poor.close();
    });
  },
  {
    configFile,
    plugins: [
      {
        name: 'stranger',
        configureServer({ middlewares }) {
          middlewares.use((request, response, next) => {
            if (request.url !== `${STRANGER}config.json`) return next();
            response.setHeader('Content-Type', 'application/json');
            response.end('{"model_type":"strangest"}');
          });
        },
      },
    ],
  },
);
