import type { Page } from 'puppeteer-core';
import { describe, expect, it } from 'vitest';
import { callInPage } from '../../src/cli/browser/launch.ts';
import { describeInBrowsers } from './support/in_browsers.ts';

const BLANK = '/test/browser/support/blank.html';
const MODULE = '/test/browser/pages/worker_engine.ts';

type Json = Readonly<Record<string, unknown>>;
const call = (page: Page, name: string, ...args: readonly unknown[]): Promise<Json> =>
  callInPage<Json>(page, MODULE, name, ...args);

/** Tokens of a reply that takes seconds: nearly the whole context. */
const LONG = 450;
const generated = (stats: Json): number => Number(stats['generated']);

const DISPOSED = { type: 'DisposedError', message: 'model: disposed; load it again' };

describeInBrowsers('an engine', (open, browser) => {
  const isChromium = browser === 'chromium';

  describe.each([
    { worker: false, thread: 'page' },
    { worker: true, thread: 'worker' },
    { worker: 'shared', thread: 'shared-worker' },
  ])('with worker: $worker', ({ worker, thread }) => {
    it('replies, aborts, fails and ends as in the page', async () => {
      const page = await open(BLANK);
      await call(page, 'use', worker);
      expect(await call(page, 'load', worker)).toEqual({
        thread,
        isSoftware: true,
        parameters: 5_401_856,
        phases: ['files', 'weights', 'compile', 'ready'],
        hasTotal: true,
      });
      expect(await call(page, 'replies')).toEqual({
        whole: 'Hello! It is nice to meet you.',
        finish: 'stop',
        texts: [
          'Hello! It is nice to meet you.',
          'Hi! How can I help you?',
          'Hello! What is your name?',
        ],
        isStreamed: true,
        usage: { completion: 27 },
        unicode: ['Grüße, 世界 🌍.', 'dé. I'],
        ids: [1, 1851, 201, 194, 201, 165, 4004, 4003, 246, 165, 146, 147],
        text: 'Grüße 🌍',
      });
      expect(await call(page, 'aborts')).toEqual({
        before: true,
        during: true,
        end: true,
        left: { done: true },
        idle: { isIdle: true },
      });
      if (isChromium) {
        expect(await call(page, 'errors')).toMatchObject([
          { type: 'RequestError', fields: { param: 'top_p' } },
          { type: 'RequestError', fields: { param: 'messages' } },
          { type: 'RequestError', fields: { param: 'messages' } },
          { type: 'RequestError', fields: { param: 'signal' } },
          { type: 'RequestError', fields: { param: 'logit_bias' } },
          { type: 'RequestError', fields: { param: 'prompt' } },
          { type: 'RequestError', fields: { param: 'max_tokens' } },
          { type: 'RequestError', message: /the prompt has 5000 tokens/ },
          { type: 'RequestError', message: /ids\[0\] is -1/ },
          { type: 'RequestError', fields: { param: 'model' } },
          { type: 'RangeError', message: 'the disk is gone' },
          {
            type: 'DownloadError',
            fields: { url: 'http://127.0.0.1:9/config.json' },
            cause: { type: 'TypeError' },
          },
          { type: 'RequestError', fields: { param: 'model' } },
          { type: 'TypeError', message: 'mine' },
        ]);
        expect(await call(page, 'sources')).toEqual({
          source: ['in memory', 'Hi! Ask me'],
          picked: ['tiny', 'Hi! Ask me'],
          isRead: true,
        });
        expect(await call(page, 'abortLoad', worker)).toEqual({ isReason: true });
      }
      expect(await call(page, 'dispose')).toMatchObject({
        end: DISPOSED,
        whole: DISPOSED,
        later: DISPOSED,
        create: DISPOSED,
        stats: DISPOSED,
      });
      await page.close();
    });
  });

  it('is shared between tabs, and none of them disturbs the others', async () => {
    const [first, second] = [await open(BLANK), await open(BLANK)];
    expect(await call(first, 'load', 'shared')).toMatchObject({ thread: 'shared-worker' });
    expect(await call(second, 'load', 'shared')).toMatchObject({
      thread: 'shared-worker',
      phases: ['ready'],
    });
    const before = await call(first, 'sharedStats');
    expect(before['memory']).toEqual((await call(second, 'sharedStats'))['memory']);

    // A tab closed in mid-stream: its request ends long before it is done.
    await call(second, 'startStory', LONG);
    expect(await call(first, 'sharedStats')).toMatchObject({ running: 1 });
    await second.close();
    expect(await call(first, 'idle')).toEqual({ isIdle: true });
    const between = await call(first, 'sharedStats');
    expect(generated(between) - generated(before)).toBeLessThan(LONG);

    // A tab that is reloaded, while another goes on.
    const third = await open(BLANK);
    expect(await call(third, 'load', 'shared')).toMatchObject({ phases: ['ready'] });
    await call(third, 'startStory', LONG);
    await call(first, 'startStory', 30);
    expect(await call(third, 'sharedStats')).toMatchObject({ running: 2 });
    await third.reload();
    expect(await call(first, 'endStory')).toBe(30);
    expect(await call(first, 'idle')).toEqual({ isIdle: true });
    const after = await call(first, 'sharedStats');
    expect(generated(after) - generated(between)).toBeLessThan(LONG);

    // The last one frees it: who comes then loads anew.
    await call(third, 'load', 'shared');
    await call(first, 'dispose');
    expect(await call(third, 'idle')).toEqual({ isIdle: true });
    await call(third, 'dispose');
    expect(await call(first, 'load', 'shared')).toMatchObject({
      phases: ['files', 'weights', 'compile', 'ready'],
    });
    await first.close();
    await third.close();
  });

  it('tells when its worker dies or may not start', async () => {
    const page = await open(BLANK);
    expect(await call(page, 'deaths')).toMatchObject({
      end: { type: 'WorkerError', message: 'worker: it has ended; load the model again' },
      later: { type: 'WorkerError' },
      disposed: DISPOSED,
      forbidden: [
        { type: 'WorkerError', message: /could not be .*worker-src/ },
        { type: 'WorkerError', message: /could not be .*worker-src/ },
      ],
    });
  });
});
