/** What a user does on the chat page, and sees. @module */
import axe from 'axe-core';
import type { Page } from 'puppeteer-core';
import { expect } from 'vitest';

/** Longest wait for a model or a reply, on a software adapter that shares its cores. */
export const PATIENCE = { timeout: 60_000, polling: 50 } as const;

/** One message as it is shown. */
export interface Shown {
  readonly kind: 'mine' | 'reply';
  readonly text: string;
  /** The line below a reply. */
  readonly stats: string;
  /** Such as `2/3`; empty where there is one branch. */
  readonly branch: string;
}

/** What the console and uncaught errors say, from now on. */
export function listen(page: Page): string[] {
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warn') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  return complaints;
}

/** Makes workers run a script before their own; for a page's `evaluateOnNewDocument`. */
export function runFirstInWorkers(script: string): void {
  const blobUrl = (text: string): string =>
    URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
  const { Worker } = globalThis;
  globalThis.Worker = class extends Worker {
    constructor(url: string | URL, options?: WorkerOptions) {
      // Modules are evaluated in the order of their imports.
      const imports = [blobUrl(script), String(new URL(url, location.href))];
      super(blobUrl(imports.map((url) => `import ${JSON.stringify(url)};`).join('')), options);
    }
  };
}

/** Waits until messages can be sent. */
export async function isReady(page: Page): Promise<void> {
  await page.waitForFunction(() => document.querySelector('.chip, .problem') !== null, PATIENCE);
  expect(await textOf(page, '.problem')).toBe('');
}

/** Waits until no reply is under way. */
export async function isIdle(page: Page): Promise<void> {
  await page.waitForFunction(
    () =>
      document.querySelector('#send')?.ariaLabel === 'Send' &&
      document.querySelector('[aria-busy=true]') === null,
    PATIENCE,
  );
  expect(await textOf(page, '.problem')).toBe('');
}

/** Types a message and sends it with Enter. */
export async function say(page: Page, text: string): Promise<void> {
  await page.click('#draft');
  await page.keyboard.type(text);
  await page.keyboard.press('Enter');
}

/** Waits for the first words of the reply under way. */
export async function hasBegun(page: Page): Promise<void> {
  await page.waitForFunction(
    () => (document.querySelector('[aria-busy=true] .prose')?.textContent ?? '') !== '',
    PATIENCE,
  );
}

/** The conversation as it is shown. */
export function messages(page: Page): Promise<readonly Shown[]> {
  return page.$$eval('.message', (all) =>
    all.map((message) => ({
      kind: message.classList.contains('mine') ? ('mine' as const) : ('reply' as const),
      text: message.querySelector('.bubble, .prose')?.textContent.trim() ?? '',
      stats: message.querySelector('.stats')?.textContent ?? '',
      branch: message.querySelector('.branches span')?.textContent ?? '',
    })),
  );
}

/** Titles in the sidebar. */
export function titles(page: Page): Promise<readonly string[]> {
  return page.$$eval('.conversation-open', (rows) =>
    rows.map((row) => row.firstElementChild?.textContent ?? ''),
  );
}

/** Text of an element; empty if it is not there. */
export function textOf(page: Page, selector: string): Promise<string> {
  return page.evaluate(
    (selector) => document.querySelector(selector)?.textContent.trim() ?? '',
    selector,
  );
}

/** Presses the button, or line of a menu, of that name inside an element. */
export async function press(page: Page, within: string, name: string): Promise<void> {
  const button = await page.waitForSelector(`${within} ::-p-aria([name="${name}"])`, PATIENCE);
  await button?.click();
}

/** Drops files on the page; those without a text are TinyChat's. */
export async function drop(
  page: Page,
  files: Readonly<Record<string, string | null>>,
): Promise<void> {
  await page.evaluate(async (files) => {
    const dataTransfer = new DataTransfer();
    for (const [name, text] of Object.entries(files)) {
      const body = text ?? (await (await fetch(`./weights/tinychat/${name}`)).blob());
      dataTransfer.items.add(new File([body], name));
    }
    for (const type of ['dragover', 'drop']) {
      document.body.dispatchEvent(
        new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }),
      );
    }
  }, files);
}

/** Keeps a conversation, `code`, of which every part is wider than a phone. */
export async function keepWideReply(page: Page): Promise<void> {
  await page.evaluate(`(async () => {
    const open = indexedDB.open('quern-chat');
    const db = await new Promise((resolve) => { open.onsuccess = () => resolve(open.result); });
    const changes = db.transaction(['conversations', 'messages'], 'readwrite');
    const now = Date.now();
    changes.objectStore('conversations').put({ id: 'code', title: 'Code', hasOwnTitle: true, createdAt: now,
      updatedAt: now, systemPrompt: '', settings: {}, headId: 'b' });
    const messages = changes.objectStore('messages');
    messages.put({ conversationId: 'code', id: 'a', parentId: null, role: 'user', createdAt: now,
      content: 'x'.repeat(300) });
    messages.put({ conversationId: 'code', id: 'b', parentId: 'a', role: 'assistant', createdAt: now,
      model: 'TinyChat', ending: 'complete', content:
        '# Title\\n\\n\`\`\`js\\nconst long = "' + 'y'.repeat(300) + '";\\n\`\`\`\\n\\n' +
        '|' + 'column|'.repeat(20) + '\\n|' + '-|'.repeat(20) + '\\n\\n[link](https://example.com) ' });
    await new Promise((resolve) => { changes.oncomplete = resolve; });
    db.close();
  })()`);
}

/** Rules of accessibility that the page breaks now, in both themes. */
export async function accessibilityProblems(page: Page): Promise<readonly string[]> {
  if (!(await page.evaluate("'axe' in globalThis"))) await page.evaluate(axe.source);
  const found: string[] = [];
  for (const scheme of ['dark', 'light']) {
    await page.emulateMediaFeatures([
      { name: 'prefers-color-scheme', value: scheme },
      // Colors are judged when they have arrived.
      { name: 'prefers-reduced-motion', value: 'reduce' },
    ]);
    const problems = (await page.evaluate(`
      axe.run().then(({ violations }) =>
        violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => id + ': ' + html)))
    `)) as readonly string[];
    found.push(...problems.map((problem) => `${scheme}: ${problem}`));
  }
  return found;
}
