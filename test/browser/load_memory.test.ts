import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { CDPSession, Page } from 'puppeteer-core';
import { expect, it, onTestFinished } from 'vitest';
import { createServer } from 'vite';
import { findBrowser } from '../../src/cli/browser/find.ts';
import { callInPage, launchBrowser } from '../../src/cli/browser/launch.ts';
import { modelPath } from '../../src/cli/browser/model_path.ts';
import { serveModels } from '../../src/cli/browser/serve_models.ts';
import { PACKAGE_ENTRIES } from '../../vite.config.ts';
import { largeModel } from '../support/large_model.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const MB = 1e6;
const MODEL_BYTES = 500 * MB;

it('loading 500 MB of weights adds less than 150 MB to the page', async (context) => {
  const found = findBrowser('chromium');
  if (found.path === undefined) return context.skip(found.reason);
  const page = await openPage();
  const heap = await page.createCDPSession();
  const pid = await rendererPid(page);

  await heap.send('HeapProfiler.collectGarbage');
  const before = await heapBytes(heap);
  const resident = watchResident(pid);
  let peak = before;
  const loading = new AbortController();
  const watching = (async () => {
    while (!loading.signal.aborted) peak = Math.max(peak, await heapBytes(heap));
  })();
  const weights = await callInPage<number>(
    page,
    '/test/browser/pages/load_memory.ts',
    'load',
    modelPath(0),
  ).finally(() => loading.abort());
  await watching;

  expect(weights).toBeGreaterThan(MODEL_BYTES);
  const added = (peak - before) / MB;
  process.stdout.write(
    `load of ${(weights / MB).toFixed(0)} MB: heap and array buffers +${added.toFixed(0)} MB at the peak${resident()}\n`,
  );
  expect(added).toBeLessThan(150);
});

/** A page of a server that has the sources and the model. */
async function openPage(): Promise<Page> {
  const server = await createServer({
    configFile: false,
    root: REPOSITORY,
    appType: 'custom',
    logLevel: 'error',
    cacheDir: `${REPOSITORY}node_modules/.vite-test/load_memory`,
    optimizeDeps: { entries: ['test/browser/pages/load_memory.ts'] },
    resolve: { alias: PACKAGE_ENTRIES },
    server: { host: '127.0.0.1', port: 0, hmr: false, watch: null },
    plugins: [
      {
        name: 'models',
        configureServer: ({ middlewares }) =>
          void middlewares.use(serveModels([largeModel(MODEL_BYTES)])),
      },
    ],
  });
  onTestFinished(() => server.close());
  await server.listen();
  const browser = await launchBrowser('chromium');
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  await page.goto(server.resolvedUrls?.local[0] ?? '');
  return page;
}

/** JavaScript objects, what the DOM holds for them, and array buffers. */
async function heapBytes(session: CDPSession): Promise<number> {
  const { usedSize, embedderHeapUsedSize, backingStorageSize } =
    await session.send('Runtime.getHeapUsage');
  return usedSize + embedderHeapUsedSize + backingStorageSize;
}

/** The process of the page: the one that has worked longest of those that render. */
async function rendererPid(page: Page): Promise<number> {
  const session = await page.browser().target().createCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  const renderers = processInfo.filter(({ type }) => type === 'renderer');
  return renderers.toSorted((a, b) => b.cpuTime - a.cpuTime)[0]?.id ?? 0;
}

/**
 * Begins a new peak of resident memory, where the system tells it.
 *
 * @returns what has been added since, for the report; the browser's own records of what it loaded are part of it
 */
function watchResident(pid: number): () => string {
  if (process.platform !== 'linux') return () => '';
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
  const before = readStatus(pid, 'VmRSS');
  return () => {
    const added = (readStatus(pid, 'VmHWM') - before) / MB;
    return `, resident memory of the page's process +${added.toFixed(0)} MB`;
  };
}

/** A size in a process's status, in bytes. */
function readStatus(pid: number, name: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
}
