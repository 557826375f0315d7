import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'puppeteer-core';
import { build } from 'vite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findBrowser } from '../../src/cli/browser/find.ts';
import { launchBrowser } from '../../src/cli/browser/launch.ts';

const configFile = fileURLToPath(new URL('../../vite.site.config.ts', import.meta.url));

/** Where a site may end up: not at the root of its server. */
const FOLDER = '/some/sub/path/';

const PATIENCE = { timeout: 60_000, polling: 50 };

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.webmanifest': 'application/manifest+json',
};

const found = findBrowser('chromium');
const missing: string[] = [];
let site = '';
let server: Server;
let origin = '';
let browser: Browser | undefined;
/** Appended to the service worker: another byte is another version. */
let version = '';

beforeAll(async () => {
  if (found.path === undefined) return;
  site = await mkdtemp(join(tmpdir(), 'quern-site-'));
  await build({ configFile, logLevel: 'error', build: { outDir: site, emptyOutDir: true } });
  server = await listen(0);
  const { port } = server.address() as AddressInfo;
  origin = `http://127.0.0.1:${port}`;
  browser = await launchBrowser('chromium');
});
afterAll(async () => {
  await browser?.close();
  server.close();
  await rm(site, { recursive: true, force: true });
});

/** The plainest of servers: files as they are, no ranges, no caching. */
async function listen(port: number): Promise<Server> {
  const started = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const path = pathname.endsWith('/') ? `${pathname}index.html` : pathname;
    if (!path.startsWith(FOLDER)) missing.push(path);
    readFile(join(site, path.slice(FOLDER.length))).then(
      (bytes) => {
        response.setHeader('Content-Type', TYPES[extname(path)] ?? 'application/octet-stream');
        response.setHeader('Cache-Control', 'no-store');
        response.end(path.endsWith('/sw.js') ? bytes.toString() + version : bytes);
      },
      () => {
        response.writeHead(404).end();
        missing.push(path);
      },
    );
  });
  await new Promise<void>((resolve) => void started.listen(port, '127.0.0.1', resolve));
  return started;
}

async function shutDown(): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

async function send(page: Page, text: string, replies: number): Promise<string[]> {
  await page.waitForSelector('#draft', PATIENCE);
  await page.type('#draft', text);
  await page.waitForSelector('#send:enabled', PATIENCE);
  await page.click('#send');
  await page.waitForFunction(
    (count) => document.querySelectorAll('.reply[aria-busy=false] .prose').length === count,
    PATIENCE,
    replies,
  );
  return page.$$eval('.message', (all) => all.map((one) => one.textContent ?? ''));
}

it('works from any folder, then without a network, and offers its new version', async (context) => {
  if (browser === undefined) return context.skip(found.path ?? found.reason);
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warn'].includes(message.type())) errors.push(message.text());
  });
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(origin + FOLDER);
  const first = await send(page, 'hello', 1);
  expect(first[1]).toMatch(/[a-z]{2}/);
  expect(missing).toEqual([]);
  await page.evaluate(async () => void (await navigator.serviceWorker.ready));
  // Nor a violation of the page's policy.
  expect(errors).toEqual([]);

  await shutDown();
  errors.length = 0;
  await page.reload();
  const second = await send(page, 'thank you', 2);
  expect(second).toHaveLength(4);
  expect(second[0]).toContain('hello');
  expect(second[3]).toMatch(/[a-z]{2}/);
  // The browser looks for a new version, in vain.
  expect(errors.filter((error) => !error.includes('sw.js'))).toEqual([]);

  version = '\n// The next version.\n';
  server = await listen(Number(new URL(origin).port));
  await page.reload();
  await Promise.all([page.waitForNavigation(PATIENCE), page.locator('.toast button').click()]);
  await page.waitForFunction(() => document.querySelectorAll('.message').length === 4, PATIENCE);
  const isNew = await page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    return registration.waiting === null && navigator.serviceWorker.controller !== null;
  });
  expect(isNew).toBe(true);
});

it('can be installed', async (context) => {
  if (browser === undefined) return context.skip(found.path ?? found.reason);
  const page = await browser.newPage();
  await page.goto(origin + FOLDER);
  const session = await page.createCDPSession();
  const { errors, url } = await session.send('Page.getAppManifest');
  expect(errors).toEqual([]);
  expect(url).toContain(`${FOLDER}manifest.webmanifest`);
  const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
  expect(installabilityErrors.map(({ errorId }) => errorId)).toEqual([]);
});

it('measures under the policy of the site, and is there without a network', async (context) => {
  if (browser === undefined) return context.skip(found.path ?? found.reason);
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warn'].includes(message.type())) errors.push(message.text());
  });
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(
    `${origin}${FOLDER}bench.html?model=tiny&weights=q4&tests=pp16&repetitions=1&profile&run`,
  );
  await page.waitForSelector('[data-bench=done], [data-bench=failed]', { timeout: 150_000 });
  expect(await page.$eval('html', ({ dataset }) => dataset['benchProblem'])).toBeUndefined();
  await page.evaluate(async () => void (await navigator.serviceWorker.ready));
  // The page's policy allows all that it does, its plots included.
  expect(await page.$$eval('canvas', (all) => all.length)).toBeGreaterThan(0);
  expect(errors).toEqual([]);
  await shutDown();
  await page.goto(`${origin}${FOLDER}bench.html?model=tiny`);
  await page.waitForSelector('#run:enabled', PATIENCE);
  await page.waitForSelector('[data-bench=ready]', PATIENCE);
});
