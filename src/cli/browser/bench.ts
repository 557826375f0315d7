import { setTimeout as delay } from 'node:timers/promises';
import type { Page } from 'puppeteer-core';
import { REPOSITORY } from '../bench_facts.ts';
import type { BrowserName } from './find.ts';
import { type BrowserAdapter, launchBrowser } from './launch.ts';
import { type PageServer, servePages, serveSite } from './server.ts';

/** What the benchmark page is to do, and where. */
export interface PageBench {
  readonly browser: BrowserName;
  readonly adapter: BrowserAdapter;
  /** What the page's address says after its question mark, without `run`. */
  readonly query: URLSearchParams;
  /** Folder of a built site; the page of the sources unless given. */
  readonly site?: string;
  /** Called with a line of text whenever the page is further. */
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
}

/** What the page left when it was done. */
export interface PageOutcome {
  /** The reports as the page wrote them, of a form to be checked; undefined if nothing was measured. */
  readonly reports: unknown;
  /** What the page says went wrong. */
  readonly problem?: string;
}

/** Isolated pages have finer timers, and may ask how much memory they take. */
const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** Between looks at the page, in milliseconds: often enough for people, seldom enough not to be measured. */
const LOOK_MS = 500;

/** For a page of sources, which are compiled on the way, to say that it is there. */
const START_MS = 60_000;

/**
 * Runs the benchmark page in a headless browser.
 *
 * @throws {NoWebGpuError} if the browser or a package that drives it is missing
 * @throws {Error} if the page breaks down: what it says itself is the `problem` of the outcome
 * @throws `signal.reason` when aborted
 */
export async function benchInBrowser(bench: PageBench): Promise<PageOutcome> {
  const { signal } = bench;
  signal.throwIfAborted();
  const browser = await launchBrowser(bench.browser, bench.adapter);
  // Closing the browser ends whatever waits for its page, with an error.
  const close = (): void => void browser.close();
  signal.addEventListener('abort', close);
  let server: PageServer | undefined;
  try {
    server = await serve(bench.site);
    const page = await browser.newPage();
    const defects: string[] = [];
    page.on('pageerror', (error) => defects.push(String(error)));
    const response = await page.goto(`${server.origin}bench.html?${addressOf(bench.query)}`);
    if (response?.ok() === false) {
      throw new Error(
        `${server.origin}bench.html: status ${response.status()}, expected the benchmark page`,
      );
    }
    return await watch(page, defects, bench);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', close);
    await browser.close();
    await server?.close();
  }
}

function serve(site: string | undefined): Promise<PageServer> {
  if (site !== undefined) return serveSite(site, ISOLATION);
  return servePages({
    configFile: `${REPOSITORY}vite.config.ts`,
    // Apart from those of `npm start` and the tests, which may run at the same time.
    cacheDir: `${REPOSITORY}node_modules/.vite-bench`,
    server: { headers: ISOLATION },
  });
}

/** The plan, and the word that starts it. */
function addressOf(query: URLSearchParams): string {
  return [query.toString(), 'run'].filter((part) => part !== '').join('&');
}

/** Waits until the page is done. */
async function watch(
  page: Page,
  defects: readonly string[],
  { onProgress, signal }: PageBench,
): Promise<PageOutcome> {
  const begin = performance.now();
  let told = '';
  for (;;) {
    const { state, progress = '' } = await page.evaluate(readState);
    if (state === 'done' || state === 'failed') return readOutcome(page);
    const [defect] = defects;
    if (defect !== undefined) throw new Error(`the page has a defect: ${defect}`);
    if (state !== 'running' && performance.now() - begin > START_MS) {
      throw new Error(
        `the page is in state ${JSON.stringify(state ?? null)} after ${START_MS / 1000} s, expected "running"`,
      );
    }
    if (progress !== '' && progress !== told) onProgress(progress);
    told = progress;
    await delay(LOOK_MS, undefined, { signal });
  }
}

/** What a page that is done shows, as soon as it has drawn it. */
async function readOutcome(page: Page): Promise<PageOutcome> {
  await delay(LOOK_MS);
  const { state, problem, reports } = await page.evaluate(readState);
  const parsed: unknown = reports === undefined ? undefined : JSON.parse(reports);
  if (state === 'failed') {
    return { reports: parsed, problem: problem ?? 'the page failed and does not say why' };
  }
  if (parsed !== undefined) return { reports: parsed };
  throw new Error('the page is done, and has no #reports; expected JSON in it');
}

interface PageState {
  readonly state?: string | undefined;
  readonly progress?: string | undefined;
  readonly problem?: string | undefined;
  /** JSON. */
  readonly reports?: string | undefined;
}

/** Runs in the page, by itself: it can use nothing of this file. */
function readState(): PageState {
  const { bench, benchProgress, benchProblem } = document.documentElement.dataset;
  const reports = document.querySelector('#reports')?.textContent;
  return {
    state: bench,
    progress: benchProgress,
    problem: benchProblem,
    reports: reports === '' ? undefined : reports,
  };
}
