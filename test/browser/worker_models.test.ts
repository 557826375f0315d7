import { expect, it } from 'vitest';
import { callInPage } from '../../src/cli/browser/launch.ts';
import { describeInBrowsers } from './support/in_browsers.ts';

const BLANK = '/test/browser/support/blank.html';
const MODULE = '/test/browser/pages/worker_models.ts';

type Json = Readonly<Record<string, unknown>>;

describeInBrowsers('models in workers', (open, browser) => {
  it.each(['encode', 'generate'])('%s as in the page', async (name) => {
    const page = await open(BLANK);
    const run = (worker: unknown) => callInPage<Json>(page, MODULE, name, worker);
    const here = await run(false);
    expect(here).toMatchObject({
      thread: 'page',
      phases: ['files', 'weights', 'compile', 'ready'],
      reason: 'enough',
    });
    expect(here['errors']).toContain('DisposedError: model: disposed; load it again');
    if (name === 'encode') {
      expect(here).toMatchObject({ isStopped: true, last: { done: 3, total: 3 } });
      expect(here['errors']).toContain('RangeError: mine');
    } else {
      expect(here['streamed']).toMatchObject({ length: 8 });
    }
    expect(await run(true)).toEqual({ ...here, thread: 'worker' });
    if (browser === 'chromium') {
      expect(await run('shared')).toEqual({ ...here, thread: 'shared-worker' });
      if (name === 'encode') {
        const shared = await callInPage<Json>(page, MODULE, 'share');
        expect(shared).toEqual({ phases: [4, 1, 4], reason: 'enough', echoed: [4, 5, 6] });
      }
    }
    await page.close();
  });
});
