import { expect, it } from 'vitest';
import { callInPage } from '../../src/cli/browser/launch.ts';
import { describeInBrowsers } from './support/in_browsers.ts';

describeInBrowsers('WebGPU', (open) => {
  it('computes', async () => {
    const page = await open('/test/browser/support/blank.html');
    const { values } = await callInPage<{ values: number[] }>(
      page,
      '/test/browser/pages/webgpu.ts',
      'squares',
      100,
    );
    expect(values).toEqual(Array.from({ length: 100 }, (_, i) => i * i));
  });
});
