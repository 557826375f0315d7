import { fileURLToPath } from 'node:url';
import type { Page } from 'puppeteer-core';
import { afterEach, expect, it } from 'vitest';
import {
  accessibilityProblems,
  drop,
  hasBegun,
  isIdle,
  isReady,
  keepWideReply,
  listen,
  messages,
  PATIENCE,
  press,
  runFirstInWorkers,
  say,
  textOf,
  titles,
} from './support/chat_page.ts';
import { describeInBrowsers } from './support/in_browsers.ts';

const configFile = fileURLToPath(new URL('../../vite.config.ts', import.meta.url));

/** Weights come only while it is open. */
const gate = { isOpen: true };

/** What the page wants to save, and takes what it would copy: neither is possible without a person. */
function record(): void {
  const saved: { name: string; text: Promise<string> }[] = [];
  Object.assign(globalThis, { saved, copied: [] });
  HTMLAnchorElement.prototype.click = function () {
    saved.push({ name: this.download, text: fetch(this.href).then((reply) => reply.text()) });
  };
  Object.defineProperty(navigator, 'clipboard', {
    value: { writeText: async (text: string) => Reflect.get(globalThis, 'copied').push(text) },
  });
}

describeInBrowsers(
  'the chat page',
  (open, name) => {
    let complaints: string[] = [];
    let page: Page;
    /** @param inWorker - runs in the engine's worker before the engine does */
    async function openChat(inWorker = ''): Promise<Page> {
      return open('/', async (page) => {
        complaints = listen(page);
        await page.evaluateOnNewDocument(record);
        if (inWorker !== '') await page.evaluateOnNewDocument(runFirstInWorkers, inWorker);
        await page.setViewport({ width: 1280, height: 800 });
      });
    }
    afterEach(() => expect(complaints).toEqual([]));

    it('answers a first message, and knows it after a reload', async () => {
      page = await openChat();
      await page.waitForSelector('.loading', PATIENCE);
      if (name === 'chromium') expect(await accessibilityProblems(page)).toEqual([]);
      await isReady(page);
      expect(await textOf(page, '.notices')).toMatch(/toy[^]*CPU/);
      if (name === 'chromium') expect(await accessibilityProblems(page)).toEqual([]);
      await say(page, 'hello');
      await isIdle(page);
      const said = await messages(page);
      expect(said).toEqual([
        { kind: 'mine', text: 'hello', stats: '', branch: '' },
        {
          kind: 'reply',
          text: expect.stringMatching(/[a-z]{2}/) as string,
          stats: expect.stringMatching(
            /^\d+ tokens · [\d.]+ tokens\/s · first token after [\d.]+ m?s/,
          ) as string,
          branch: '',
        },
      ]);
      await page.waitForFunction(
        (text) => document.querySelector('#announcer')?.textContent.trim() === text,
        PATIENCE,
        said[1]?.text ?? '',
      );
      expect(await page.$eval('.chip', ({ ariaLabel }) => ariaLabel)).toMatch(/^[1-9]\d?% /);
      await page.reload();
      await page.waitForSelector('.reply', PATIENCE);
      expect(await messages(page)).toEqual(said);
      expect(await titles(page)).toContain('hello');
      await isReady(page);
    });
    // The smoke test of the others ends here.
    if (name !== 'chromium') return;

    it('stops, regenerates and edits; branches stay', async () => {
      await page.click('#new-chat');
      await say(page, 'Tell me a story about a cat.');
      await hasBegun(page);
      // The first Escape is for what is open.
      await page.click('.chip');
      await page.waitForSelector('.details:popover-open');
      await page.keyboard.press('Escape');
      await page.waitForSelector('.chip[aria-expanded=false]:focus');
      expect(await page.$eval('#send', ({ ariaLabel }) => ariaLabel)).toBe('Stop');
      await page.keyboard.press('Escape');
      await isIdle(page);
      const [, stopped] = await messages(page);
      expect(stopped).toMatchObject({ stats: 'Stopped.', branch: '' });

      await press(page, '.reply', 'Try again');
      await hasBegun(page);
      await page.click('#send');
      await isIdle(page);
      expect(await messages(page)).toMatchObject([{}, { stats: 'Stopped.', branch: '2/2' }]);
      await press(page, '.reply', 'Previous version');
      expect((await messages(page))[1]).toEqual({ ...stopped, branch: '1/2' });

      await page.click('#draft');
      await page.keyboard.press('ArrowUp');
      await page.waitForSelector('.edit textarea:focus');
      await page.keyboard.down('Control');
      await page.keyboard.press('a');
      await page.keyboard.up('Control');
      await page.keyboard.type('thank you');
      await page.keyboard.press('Enter');
      await isIdle(page);
      const edited = await messages(page);
      expect(edited).toMatchObject([{ text: 'thank you', branch: '2/2' }, { branch: '' }]);
      await press(page, '.mine', 'Previous version');
      expect((await messages(page))[0]?.text).toBe('Tell me a story about a cat.');
      await press(page, '.mine', 'Next version');
      expect(await messages(page)).toEqual(edited);
      await press(page, '.reply', 'Copy');
      expect(await page.evaluate('copied')).toEqual([edited[1]?.text]);
    });

    it('gives a message back that was stopped before an answer', async () => {
      await page.click('#new-chat');
      await page.evaluate(() => {
        document.querySelector<HTMLElement>('.suggestions button')?.click();
        requestAnimationFrame(() => document.querySelector<HTMLElement>('#send')?.click());
      });
      await page.waitForFunction(
        () => document.querySelector<HTMLTextAreaElement>('#draft')?.value !== '',
        PATIENCE,
      );
      expect(await messages(page)).toEqual([]);
      await page.$eval('#draft', (draft) => draft instanceof HTMLTextAreaElement && draft.select());
      await page.keyboard.press('Backspace');
    });

    it('renames, finds, exports, deletes and brings back chats', async () => {
      const row = '.conversation:has([title="hello"])';
      await page.click(`${row} .conversation-open`);
      await page.waitForFunction(() => document.querySelectorAll('.message').length === 2);
      await press(page, row, 'Options of “hello”');
      await press(page, '.menu', 'Rename');
      await page.waitForSelector('.conversation input:focus');
      await page.keyboard.type('Grüße aus Köln');
      await page.keyboard.press('Enter');
      await page.waitForSelector('[title="Grüße aus Köln"]:focus');
      await page.keyboard.press('F2');
      await page.waitForSelector('.conversation input:focus');
      await page.click('#draft');
      await page.waitForSelector('[title="Grüße aus Köln"]');
      expect(await page.evaluate(() => document.activeElement?.id)).toBe('draft');

      await page.keyboard.down('Control');
      await page.keyboard.press('k');
      await page.keyboard.up('Control');
      await page.waitForSelector('#search:focus');
      await page.keyboard.type('koln');
      await page.waitForFunction(() => document.querySelectorAll('.conversation').length === 1);
      expect(await titles(page)).toEqual(['Grüße aus Köln']);

      await press(page, '.conversation', 'Options of “Grüße aus Köln”');
      await press(page, '.menu', 'Export as Markdown');
      await page.waitForFunction('saved.length === 1');
      const file = await page.evaluate('saved[0].text.then((text) => saved[0].name + text)');
      expect(file).toMatch(/^Grüße-aus-Köln\.md[^]*Grüße aus Köln[^]*hello/);

      await press(page, '.conversation', 'Options of “Grüße aus Köln”');
      await press(page, '.menu', 'Delete');
      await page.waitForFunction(() => document.querySelectorAll('.message').length === 0);
      expect(await titles(page)).toEqual([]);
      await page.waitForSelector('#new-chat:focus');
      await press(page, '.toast', 'Undo');
      await page.waitForSelector('#draft:focus');
      await page.waitForFunction(() => document.querySelectorAll('.message').length === 2);
      await page.click('#search');
      await page.keyboard.press('Escape');
      expect(await titles(page)).toEqual(['thank you', 'Grüße aus Köln']);
    });

    it('shows in one tab what another one said', async () => {
      const other = await openChat();
      await isReady(other);
      await say(other, 'good morning');
      await isIdle(other);
      await page.waitForSelector('[title="good morning"]', PATIENCE);
      await other.close();
    });

    it('asks with the settings of the chat', async () => {
      await page.bringToFront();
      await page.keyboard.down('Control');
      await page.keyboard.press(',');
      await page.keyboard.up('Control');
      const length = await page.waitForSelector('#settings-dialog ::-p-aria(Longest reply)');
      await length?.type('0');
      expect(await textOf(page, '#settings-dialog .field-error')).toContain('1 or more');
      expect(await accessibilityProblems(page)).toEqual([]);
      await length?.press('Backspace');
      await length?.type('3');
      await press(page, '#settings-dialog', 'Done');
      await say(page, 'Tell me a story about a dog.');
      await isIdle(page);
      expect((await messages(page)).at(-1)?.stats).toMatch(/cut off.* · 3 tokens/);
      await page.click('#open-settings');
      await press(page, '#settings-dialog', 'Reset to the model’s own');
      expect(await page.$$eval('.setting input', (all) => all.map(({ value }) => value))).toEqual(
        Array.from({ length: 7 }, () => ''),
      );
      await press(page, '#settings-dialog', 'Done');
    });

    it('runs a dropped folder, and names what is wrong with another one', async () => {
      await drop(page, { 'config.json': '{}' });
      await page.waitForSelector('.problem', PATIENCE);
      expect(await textOf(page, '.problem')).toMatch(/not a model[^]*"model_type" is missing/);
      expect(await accessibilityProblems(page)).toEqual([]);
      await press(page, '.problem', 'Choose a model…');
      await page.waitForSelector('#model-dialog[open]');
      expect(await accessibilityProblems(page)).toEqual([]);
      await page.keyboard.press('Escape');
      await drop(page, {
        'config.json': null,
        'generation_config.json': null,
        'tokenizer.json': null,
        'tokenizer_config.json': null,
        'model.safetensors': null,
      });
      await page.waitForSelector('.loading', PATIENCE);
      await isReady(page);
      expect(await textOf(page, '#model')).toContain('opened files');
      await page.click('#new-chat');
      await press(page, '.suggestions', 'Who are you?');
      await isIdle(page);
      expect((await messages(page))[1]?.text).toMatch(/[a-z]{2}/);
    });

    it('loads again after a cancel', async () => {
      gate.isOpen = false;
      await page.click('#model');
      await press(
        page,
        '#model-dialog',
        'TinyChat Comes with this page: a toy of 5 million parameters',
      );
      await press(page, '.loading', 'Cancel');
      await page.waitForSelector('.problem', PATIENCE);
      expect(await textOf(page, '.problem h2')).toBe('Loading was cancelled');
      gate.isOpen = true;
      await press(page, '.problem', 'Load the model again');
      await isReady(page);
    });

    it('shows code and Markdown, and is at ease on a phone', async () => {
      await page.setViewport({ width: 390, height: 844, isMobile: true, hasTouch: true });
      await page.reload();
      await isReady(page);
      await keepWideReply(page);
      const { origin } = new URL(page.url());
      await page.goto('about:blank');
      await page.goto(`${origin}/#code`);
      await page.waitForSelector('.code-head', PATIENCE);
      await isReady(page);
      const widths = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      expect(widths).toEqual([390, 390]);
      expect(await accessibilityProblems(page)).toEqual([]);

      await page.click('#show-sidebar');
      await page.waitForSelector('#hide-sidebar:focus');
      expect(await accessibilityProblems(page)).toEqual([]);
      expect(await page.$eval('.chat', (chat) => chat instanceof HTMLElement && chat.inert)).toBe(
        true,
      );
      await page.keyboard.press('Escape');
      await page.waitForSelector('#show-sidebar:focus');
    });

    it('is used by the keyboard alone', async () => {
      await page.setViewport({ width: 1280, height: 800 });
      await page.reload();
      await isReady(page);
      await page.keyboard.down('Control');
      await page.keyboard.down('Shift');
      await page.keyboard.press('O');
      await page.keyboard.up('Shift');
      await page.keyboard.up('Control');
      await page.waitForSelector('#draft:focus');
      await page.keyboard.type('hello');
      await page.keyboard.press('Enter');
      await isIdle(page);
      expect(await page.evaluate(() => document.activeElement?.id)).toBe('draft');
      // Backwards to the reply's last button, which asks again.
      const names: string[] = [];
      for (let i = 0; i < 4 && names.at(-1) !== 'Try again'; i++) {
        await page.keyboard.down('Shift');
        await page.keyboard.press('Tab');
        await page.keyboard.up('Shift');
        names.push(await page.evaluate(() => document.activeElement?.ariaLabel ?? ''));
      }
      expect(names.at(-1)).toBe('Try again');
      await page.keyboard.press('Space');
      await isIdle(page);
      expect((await messages(page))[1]?.branch).toBe('2/2');
    });

    it('says what to do without WebGPU', async () => {
      const poor = await openChat('Reflect.deleteProperty(WorkerNavigator.prototype, "gpu")');
      await poor.waitForSelector('.problem', PATIENCE);
      expect(await textOf(poor, '.problem')).toMatch(/cannot use WebGPU/);
      await poor.type('#draft', 'hello');
      expect(await poor.$eval('#send', (send) => (send as HTMLButtonElement).disabled)).toBe(true);
      expect(await accessibilityProblems(poor)).toEqual([]);
      await poor.close();
    });

    it('goes on after the GPU was lost', async () => {
      const lossy = await openChat(`
        globalThis.devices = [];
        const { requestDevice } = GPUAdapter.prototype;
        GPUAdapter.prototype.requestDevice = async function (descriptor) {
          const device = await requestDevice.call(this, descriptor);
          devices.push(device);
          return device;
        };
      `);
      await isReady(lossy);
      await say(lossy, 'Tell me a story about a cat.');
      await hasBegun(lossy);
      await lossy.workers()[0]?.evaluate('devices.at(-1).destroy()');
      await lossy.waitForSelector('main .notice[role=status]', PATIENCE);
      await isIdle(lossy);
      expect((await messages(lossy))[1]?.stats).toMatch(/^\d+ tokens/);
      await lossy.close();
    });
  },
  {
    configFile,
    plugins: [
      {
        name: 'gate',
        configureServer({ middlewares }) {
          middlewares.use((request, response, next) => {
            const isHeld = !gate.isOpen && request.url?.endsWith('.safetensors') === true;
            if (!isHeld) return next();
            // Never answered: the page has to give up by itself.
            response.flushHeaders();
          });
        },
      },
    ],
  },
);
