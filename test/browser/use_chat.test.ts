import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { callInPage } from '../../src/cli/browser/launch.ts';
import { describeInBrowsers } from './support/in_browsers.ts';

describeInBrowsers(
  'useChat',
  (open) => {
    it('loads, replaces and lets go of models in strict mode', async () => {
      const errors: string[] = [];
      const page = await open('/support/blank.html', async (page) => {
        page.on('console', (message) => {
          if (message.type() === 'error') errors.push(message.text());
        });
        page.on('pageerror', (error) => errors.push(String(error)));
      });
      expect(await callInPage(page, '/pages/use_chat.ts', 'live')).toEqual([
        'load a',
        'temperature 0.5',
        'temperature 1',
        'dispose a',
        'load b',
        'dispose b',
        'load never',
        'cancelled 1, kept true',
        'abort never',
        'load never',
        'abort never',
        'rendered after unmounting 0, disposed false',
      ]);
      expect(errors).toEqual([]);
    });
  },
  {
    configFile: false,
    root: fileURLToPath(new URL('.', import.meta.url)),
    optimizeDeps: { include: ['react', 'react-dom/client'] },
  },
);
