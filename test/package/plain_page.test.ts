import { expect, it } from 'vitest';
import { APP_MODULE, appPage, createApp } from './support/app.ts';
import { useBrowser } from './support/browser.ts';
import { serveFolder } from './support/server.ts';

const expectReplies = useBrowser();

it('a page without a bundler replies under a strict Content-Security-Policy', async () => {
  const folder = createApp({
    'index.html': appPage('<script type="module" src="main.js"></script>'),
    'main.js': "import { show } from './app.js';\nawait show();\n",
    'app.js': APP_MODULE.replace("'quern'", "'./node_modules/quern/dist/index.js'"),
  });
  await expectReplies(`${await serveFolder(folder)}/`);
  expect.hasAssertions();
});
