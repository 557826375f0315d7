import { fileURLToPath } from 'node:url';
import type { Page } from 'puppeteer-core';
import { afterEach, expect, it } from 'vitest';
import { reportSet } from '../../src/bench/index.ts';
import { benchReport } from '../unit/demo/support/bench_reports.ts';
import {
  accessibilityProblems,
  drop,
  listen,
  PATIENCE,
  press,
  textOf,
} from './support/chat_page.ts';
import { describeInBrowsers } from './support/in_browsers.ts';

const configFile = fileURLToPath(new URL('../../vite.config.ts', import.meta.url));

const fileOf = (...reports: Parameters<typeof reportSet>[0]): string =>
  JSON.stringify(reportSet(reports));

/** Keeps what the page would save, in `saved`, and what it would put on the clipboard, in `copied`. */
function keepOutput(): void {
  const kept: { saved: { name: string; data: Promise<string> }[]; copied: string[] } = {
    saved: [],
    copied: [],
  };
  Object.assign(globalThis, kept);
  HTMLAnchorElement.prototype.click = function (this: HTMLAnchorElement) {
    const data = fetch(this.href).then(async (response) =>
      Array.from(new Uint8Array(await response.arrayBuffer()), (byte) =>
        String.fromCodePoint(byte),
      ).join(''),
    );
    kept.saved.push({ name: this.download, data });
  };
  Object.defineProperty(navigator, 'clipboard', {
    value: {
      writeText: (text: string) => {
        kept.copied.push(text);
        return Promise.resolve();
      },
    },
  });
}

/** The file that the page has saved last, once there are so many. */
async function saved(page: Page, count: number): Promise<{ name: string; data: string }> {
  await page.waitForFunction(`saved.length === ${count}`, PATIENCE);
  return (await page.evaluate(
    '(async () => ({ ...saved.at(-1), data: await saved.at(-1).data }))()',
  )) as { name: string; data: string };
}

function rows(page: Page): Promise<readonly string[]> {
  return page.$$eval('.record-open > span:first-child', (all) =>
    all.map((one) => one.textContent ?? ''),
  );
}

async function hasRows(page: Page, count: number): Promise<void> {
  await page.waitForFunction(
    (count) => document.querySelectorAll('.record').length === count,
    PATIENCE,
    count,
  );
}

const pixels = (page: Page): Promise<string> =>
  page.$eval('.results canvas', (canvas) => canvas.toDataURL());

describeInBrowsers(
  'records and plots of the benchmark page',
  (open, name) => {
    let complaints: string[] = [];
    let page: Page;
    afterEach(() => expect(complaints).toEqual([]));

    it('imports files, and draws what is in them', async () => {
      page = await open('/bench.html', async (page) => {
        complaints = listen(page);
        await page.evaluateOnNewDocument(keepOutput);
        await page.setViewport({ width: 1280, height: 800 });
      });
      await page.waitForSelector('#import', PATIENCE);
      await drop(page, { 'odd.json': '{"schema":"other/1"}' });
      await page.waitForSelector('.toast', PATIENCE);
      expect(await textOf(page, '.toast')).toMatch(/odd\.json was not imported.*"other\/1"/);
      await drop(page, { 'two.json': fileOf(benchReport(), benchReport({ form: 'f16' })) });
      await hasRows(page, 1);
      expect(await rows(page)).toEqual([
        'SmolLM2 135M in 4 bits, SmolLM2 135M in 16 bits · Test GPU',
      ]);
      await page.waitForSelector('.results canvas', PATIENCE);
      const label = await page.$eval('.results canvas', ({ ariaLabel }) => ariaLabel);
      expect(label).toContain('Test GPU: 100 GB/s and 3,000 GFLOP/s');
      // Another theme, other colors.
      const before = await pixels(page);
      await page.click('[aria-label="Dark theme"]');
      await page.waitForFunction(
        (before) => document.querySelector('canvas')?.toDataURL() !== before,
        PATIENCE,
        before,
      );
      await page.click('[aria-label="Theme of the system"]');
    });

    it('tells of each mark by the arrow keys', async () => {
      await page.focus('.results canvas');
      const said = new Set<string>();
      for (let i = 0; i < 4; i += 1) {
        await page.keyboard.press('ArrowRight');
        await page.waitForFunction(
          (said) => {
            const text = document.querySelector('.plot [role=status]')?.textContent ?? '';
            return text !== '' && !said.includes(text);
          },
          PATIENCE,
          [...said],
        );
        said.add(await textOf(page, '.plot [role=status]'));
      }
      expect([...said].join('\n')).toMatch(/A pp512.*GB\/s.*GFLOP\/s.*% of the limit/);
      await page.keyboard.press('Escape');
      await page.waitForFunction(
        () => document.querySelector('.plot [role=status]')?.textContent === '',
        PATIENCE,
      );
    });

    it('hands out files that can be imported again, and pictures', async () => {
      await press(page, '.results', 'Save or share');
      await press(page, '.menu', 'Save as JSON');
      const json = await saved(page, 1);
      expect(json.name).toMatch(/^SmolLM2-135M-in-4-bits-.*\.json$/);
      await press(page, '.results', 'Save or share');
      await press(page, '.menu', 'Save as CSV');
      expect((await saved(page, 2)).data.split('\r\n')[1]).toContain('smollm2-135m,');
      await press(page, '.results', 'Save or share');
      await press(page, '.menu', 'Save as a picture');
      const picture = await saved(page, 3);
      expect(picture.name).toMatch(/\.png$/);
      expect(picture.data.slice(1, 4)).toBe('PNG');
      await drop(page, { [json.name]: json.data });
      await page.waitForSelector('.toast ::-p-text(is here already)', PATIENCE);
      const [before] = await rows(page);
      await page.focus('.record-open');
      await page.keyboard.press('Delete');
      await hasRows(page, 0);
      await drop(page, { [json.name]: json.data });
      await hasRows(page, 1);
      expect(await rows(page)).toEqual([before]);
    });

    it('compares runs, renames, deletes, and undoes it', async () => {
      await drop(page, { 'fast.json': fileOf(benchReport({ speed: 2, adapter: 'Fast GPU' })) });
      await hasRows(page, 2);
      for (const box of (await page.$$('.record-check input')).slice(0, 2)) await box.click();
      await page.waitForSelector('.comparison canvas', PATIENCE);
      expect(await textOf(page, '.comparison .figures tbody')).toMatch(/2 × · faster/);
      expect(await textOf(page, '.comparison .quiet')).not.toBe('');

      await page.focus('.record-open');
      await page.keyboard.press('F2');
      await page.waitForSelector('.record input.field:focus');
      await page.keyboard.type('My laptop');
      await page.keyboard.press('Enter');
      await page.waitForSelector('::-p-text(My laptop)', PATIENCE);
      await page.focus('.record-open');
      await page.keyboard.press('Delete');
      await hasRows(page, 1);
      await press(page, '.toast:last-of-type', 'Undo');
      await hasRows(page, 2);
      await page.reload();
      await hasRows(page, 2);
      expect((await rows(page))[0]).toBe('My laptop');
    });

    it('shares a result by a link, which stores nothing until asked', async () => {
      await press(page, '.record', 'Options of “My laptop”');
      await press(page, '.menu', 'Copy a link');
      await page.waitForFunction('copied.length === 1', PATIENCE);
      const link = (await page.evaluate('copied[0]')) as string;
      expect(link).toMatch(/bench\.html#r=[\w-]+$/);
      await page.goto(link);
      await page.waitForSelector('.shared-result', PATIENCE);
      await page.waitForSelector('.results canvas', PATIENCE);
      expect(await textOf(page, '.results')).toContain('Fast GPU');
      expect(await rows(page)).toHaveLength(2);
      if (name === 'chromium') {
        for (const box of (await page.$$('.record-check input')).slice(0, 2)) await box.click();
        for (const width of [1280, 390]) {
          await page.setViewport({ width, height: 844 });
          await page.waitForFunction((width) => innerWidth === width, PATIENCE, width);
          await page.waitForSelector('.comparison canvas', PATIENCE);
          await page.$$eval('details', (all) => {
            for (const one of all) one.open = true;
          });
          expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
          expect(await accessibilityProblems(page)).toEqual([]);
        }
      }
      await press(page, '.shared-result', 'Keep');
      await hasRows(page, 3);
      expect(page.url()).not.toContain('#r=');
      await page.goto(link.slice(0, -60));
      await page.waitForFunction(
        () => document.querySelector('.toast')?.textContent?.includes('link is damaged'),
        PATIENCE,
      );
    });
  },
  { configFile },
);
