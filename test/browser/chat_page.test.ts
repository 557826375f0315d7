import { fileURLToPath } from 'node:url';
import type { Page } from 'puppeteer-core';
import { expect, it } from 'vitest';
import { describeInBrowsers } from './support/in_browsers.ts';

const configFile = fileURLToPath(new URL('../../vite.config.ts', import.meta.url));

/** Longest wait for a model or a reply, on a software adapter that shares its cores. */
const PATIENCE = { timeout: 120_000, polling: 50 };

describeInBrowsers(
  'the chat page',
  (open) => {
    /** Opens the chat page; `before` runs in it ahead of its own script. */
    async function openChat(before?: () => void): Promise<{ page: Page; errors: string[] }> {
      const errors: string[] = [];
      const page = await open('/', async (page) => {
        page.on('console', (message) => {
          if (message.type() === 'error') errors.push(message.text());
        });
        page.on('pageerror', (error) => errors.push(String(error)));
        if (before !== undefined) await page.evaluateOnNewDocument(before);
        await page.setViewport({ width: 390, height: 844 });
      });
      return { page, errors };
    }

    it('answers, stops, and begins anew', async () => {
      const { page, errors } = await openChat();
      await isReady(page);
      expect(await textOf(page, '#model')).toContain('TinyChat · 5.4 million parameters');
      expect(await textOf(page, '#notices')).toMatch(/toy[^]*CPU/);

      // One text node grows, so every piece is a mutation of it.
      await page.evaluate(() => {
        const log = document.querySelector('#log');
        new MutationObserver((changes) => {
          const grown = changes.filter(({ type }) => type === 'characterData').length;
          document.body.dataset['pieces'] = String(
            Number(document.body.dataset['pieces'] ?? 0) + grown,
          );
        }).observe(log as Element, { subtree: true, characterData: true });
      });
      await page.type('#draft', 'hello');
      await page.keyboard.press('Enter');
      await isIdle(page);
      const [question, reply] = await turns(page);
      expect(question?.text).toBe('hello');
      expect(reply?.text).toMatch(/[a-z]{2}/);
      expect(reply?.note).toMatch(
        /^\d+ tokens · [\d.]+ tokens\/s · first token after [\d.]+ m?s · 0 of \d+ prompt tokens cached$/,
      );
      expect(reply?.isBusy).toBe('false');
      expect(Number(await page.$eval('body', (body) => body.dataset['pieces']))).toBeGreaterThan(1);

      await page.type('#draft', 'Tell me a story about a cat.');
      await page.keyboard.press('Enter');
      await page.waitForFunction(
        () => document.querySelectorAll('.reply .text')[1]?.textContent !== '',
        PATIENCE,
      );
      await page.click('#stop');
      await isIdle(page);
      const story = (await turns(page))[3];
      expect(story?.text.length).toBeGreaterThan(0);
      expect(story?.note).toBe('Stopped.');

      const widths = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      expect(widths[0]).toBeLessThanOrEqual(widths[1] ?? 0);

      await page.click('#new-chat');
      expect(await turns(page)).toEqual([]);
      // Stopped before the model said anything, the message goes back to where it was written.
      await page.type('#draft', 'first line');
      await page.evaluate(() => {
        document.querySelector('form')?.requestSubmit();
        document.querySelector<HTMLButtonElement>('#stop')?.click();
      });
      await isIdle(page);
      expect(await turns(page)).toEqual([]);
      expect(await page.$eval('textarea', ({ value }) => value)).toBe('first line');
      expect(errors).toEqual([]);
    });

    it('says what to do without WebGPU', async () => {
      const { page, errors } = await openChat(() => {
        Reflect.deleteProperty(Navigator.prototype, 'gpu');
      });
      await hasProblem(page);
      expect(await textOf(page, '#problem')).toMatch(
        /cannot use WebGPU[^]*Chrome[^]*Safari[^]*Firefox/,
      );
      expect(await page.$eval('button[type=submit]', ({ disabled }) => disabled)).toBe(true);
      expect(errors).toEqual([]);
    });

    it('loads again after a cancelled, a failed and a lost model', async () => {
      const { page, errors } = await openChat(() => {
        // Weights that never come, until the test lets them; devices that the test can take away.
        const platform = { devices: [] as GPUDevice[], isOpen: false };
        Object.assign(globalThis, { platform });
        const { fetch } = globalThis;
        globalThis.fetch = async (url, init) => {
          const isWeights = typeof url === 'string' && url.endsWith('.safetensors');
          if (platform.isOpen || !isWeights) return fetch(url, init);
          return new Promise((_, reject) => {
            init?.signal?.addEventListener('abort', () => reject(init.signal?.reason as Error));
          });
        };
        const adapter = GPUAdapter.prototype;
        const requestDevice = Reflect.get(adapter, 'requestDevice');
        adapter.requestDevice = async function (descriptor) {
          const device = await requestDevice.call(this, descriptor);
          platform.devices.push(device);
          return device;
        };
      });
      await page.waitForSelector('#cancel', { visible: true });
      await page.click('#cancel');
      await hasProblem(page);
      expect(await textOf(page, '#problem')).toContain('Loading was cancelled');

      await page.evaluate(() => {
        const folder = document.querySelector<HTMLInputElement>('#folder');
        const transfer = new DataTransfer();
        transfer.items.add(new File(['{}'], 'config.json'));
        if (folder === null) return;
        folder.files = transfer.files;
        folder.dispatchEvent(new Event('change'));
      });
      await page.waitForFunction(
        () => document.querySelector('#problem')?.textContent?.includes('not a model') === true,
        PATIENCE,
      );
      await page.evaluate('platform.isOpen = true');
      await clickAction(page, 'Load TinyChat');
      await isReady(page);

      await page.type('#draft', 'Tell me a story about a cat.');
      await page.keyboard.press('Enter');
      await page.waitForFunction(
        () => (document.querySelector('.reply .text')?.textContent ?? '') !== '',
        PATIENCE,
      );
      await page.evaluate('platform.devices.at(-1).destroy()');
      await hasProblem(page);
      expect(await textOf(page, '#problem')).toContain('The GPU was lost');
      await clickAction(page, 'Load the model again');
      await isReady(page);
      await page.type('#draft', 'thank you');
      await page.keyboard.press('Enter');
      await isIdle(page);
      const said = await turns(page);
      expect(said.map(({ note }) => note)).toEqual([
        null,
        'Broken off by an error.',
        null,
        expect.stringMatching(/^\d+ tokens?/),
      ]);
      expect(errors).toEqual([]);
    });

    it('runs a model from a folder on the disk', async () => {
      const { page, errors } = await openChat();
      await isReady(page);
      await page.evaluate(async () => {
        const transfer = new DataTransfer();
        for (const name of [
          'config.json',
          'generation_config.json',
          'tokenizer.json',
          'tokenizer_config.json',
          'model.safetensors',
        ]) {
          const response = await fetch(`./weights/tinychat/${name}`);
          transfer.items.add(new File([await response.blob()], name));
        }
        const folder = document.querySelector<HTMLInputElement>('#folder');
        if (folder === null) return;
        folder.files = transfer.files;
        folder.dispatchEvent(new Event('change'));
      });
      await page.waitForSelector('#loading', { visible: true });
      await isReady(page);
      expect(await textOf(page, '#model')).toMatch(/^the given files · 5\.4 million/);
      // A chat with a suggestion, on the model just opened.
      await page.click('#suggestions button');
      await isIdle(page);
      expect((await turns(page))[1]?.text).toMatch(/[a-z]{2}/);
      expect(errors).toEqual([]);
    });
  },
  { configFile },
);

async function isReady(page: Page): Promise<void> {
  await page.waitForFunction(
    () =>
      document.querySelector<HTMLElement>('#problem')?.hidden === false ||
      document.querySelector<HTMLButtonElement>('#send')?.disabled === false,
    PATIENCE,
  );
  expect(await textOf(page, '#problem')).toBe('');
}

async function isIdle(page: Page): Promise<void> {
  await page.waitForSelector('#send', { visible: true, timeout: PATIENCE.timeout });
  expect(await textOf(page, '#problem')).toBe('');
}

async function hasProblem(page: Page): Promise<void> {
  await page.waitForSelector('#problem', { visible: true, timeout: PATIENCE.timeout });
}

function textOf(page: Page, selector: string): Promise<string> {
  return page.$eval(selector, (element) => element.textContent?.trim() ?? '');
}

async function clickAction(page: Page, name: string): Promise<void> {
  await page.evaluate((name) => {
    const buttons = [...document.querySelectorAll<HTMLButtonElement>('#problem button')];
    const button = buttons.find(({ textContent }) => textContent === name);
    if (button === undefined) throw new Error(`no button "${name}" in the problem box`);
    button.click();
  }, name);
}

function turns(
  page: Page,
): Promise<readonly { text: string; note: string | null; isBusy: string | null }[]> {
  return page.$$eval('.message', (messages) =>
    messages.map((message) => ({
      text: message.querySelector('.text')?.textContent ?? '',
      note: message.querySelector('.note')?.textContent ?? null,
      isBusy: message.ariaBusy,
    })),
  );
}
