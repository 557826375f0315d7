import { expect, it } from 'vitest';
import { callInPage } from '../../src/cli/browser/launch.ts';
import type { SelfTestReport } from '../../src/engine/api.ts';
import { describeInBrowsers } from './support/in_browsers.ts';

describeInBrowsers('the self-test', (open) => {
  it('passes, and the next page knows', async () => {
    const visit = async (): Promise<SelfTestReport> => {
      const page = await open('/test/browser/support/blank.html');
      return callInPage<SelfTestReport>(page, '/test/browser/pages/self_test.ts', 'check');
    };
    const first = await visit();
    expect(first).toMatchObject({ status: 'passed', dropped: [] });
    expect(first.checked).not.toEqual([]);
    expect(first.elapsedMs).toBeGreaterThan(0);
    expect(await visit()).toEqual({ ...first, elapsedMs: 0 });
    process.stdout.write(
      `self-test: ${first.elapsedMs.toFixed(0)} ms: ${first.checked.join(', ')}\n`,
    );
  });
});
