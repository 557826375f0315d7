import { expect, it, onTestFinished } from 'vitest';
import { build, createServer } from 'vite';
import { APP_MODULE, appPage, createApp } from './support/app.ts';
import { useBrowser } from './support/browser.ts';
import { serveFolder, serveTinychat } from './support/server.ts';

const expectReplies = useBrowser();

const FILES = {
  'index.html': appPage('<script type="module" src="/main.js"></script>'),
  'main.js': "import { show } from './app.js';\nvoid show();\n",
  'app.js': APP_MODULE,
};

/** A worker that the page starts itself. */
const OWN_WORKER = {
  ...FILES,
  'main.js': `import QuernWorker from 'quern/worker?worker';
import { show } from './app.js';
void show(new QuernWorker());
`,
};

// No setting here is about Quern: an application has none either.

it("replies from Vite's development server", async () => {
  const server = await createServer({
    root: createApp(FILES),
    configFile: false,
    logLevel: 'error',
    server: { host: '127.0.0.1', port: 0 },
    plugins: [
      {
        name: 'models',
        configureServer: ({ middlewares }) => void middlewares.use(serveTinychat),
      },
    ],
  });
  onTestFinished(() => server.close());
  await server.listen();
  await expectReplies(server.resolvedUrls?.local[0] ?? '');
  expect.hasAssertions();
});

it('replies from a worker that the page starts itself', async () => {
  const root = createApp(OWN_WORKER);
  await build({ root, configFile: false, logLevel: 'warn' });
  await expectReplies(`${await serveFolder(`${root}/dist`)}/`, ['worker']);
  expect.hasAssertions();
});

it('replies as built by Vite, under a strict Content-Security-Policy', async () => {
  const root = createApp(FILES);
  await build({ root, configFile: false, logLevel: 'warn' });
  await expectReplies(`${await serveFolder(`${root}/dist`)}/`);
  expect.hasAssertions();
});
