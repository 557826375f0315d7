import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ParityOptions, ParityReport } from '../../engine/inspect.ts';
import { openDirectory } from '../../node/directory.ts';
import type { BrowserName } from './find.ts';
import { callInPage, launchBrowser } from './launch.ts';
import { serveModels } from './serve_models.ts';
import { type PageServer, servePages } from './server.ts';

/** Options that go to a page. */
export type PageParityOptions = Pick<ParityOptions, 'tolerance' | 'weights'>;

const PAGE_MODULE = fileURLToPath(new URL('./parity_page.ts', import.meta.url));

/**
 * Runs `parity` on folders of this machine inside a page of a browser.
 *
 * @returns one report per folder, in order, each as soon as it is there
 * @throws {NoWebGpuError} if the browser or a package that drives it is missing
 * @throws `signal.reason` when aborted
 */
export async function* parityInBrowser(
  name: BrowserName,
  dirs: readonly string[],
  options: PageParityOptions,
  signal: AbortSignal,
): AsyncGenerator<ParityReport> {
  const browser = await launchBrowser(name);
  // Closing the browser ends the call into its page, with an error.
  const close = (): void => void browser.close();
  signal.addEventListener('abort', close);
  let server: PageServer | undefined;
  try {
    server = await startServer(dirs);
    const page = await browser.newPage();
    await page.goto(server.origin);
    for (const [index, dir] of dirs.entries()) {
      const args = [dir, index, options];
      const report = await callInPage<ParityReport>(
        page,
        `/${basename(PAGE_MODULE)}`,
        'run',
        ...args,
      );
      // Pages are not told much of the adapter; Firefox tells nothing.
      const adapter =
        report.adapter === 'none' ? report.adapter : `${name} ${report.adapter}`.trim();
      yield { ...report, adapter };
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', close);
    await browser.close();
    await server?.close();
  }
}

/** Serves the code of the page, from sources compiled on the way or as it is in the package, and the folders. */
function startServer(dirs: readonly string[]): Promise<PageServer> {
  return servePages({
    configFile: false,
    root: dirname(PAGE_MODULE),
    appType: 'custom',
    // Apart from those of the pages and tests, which may run at the same time.
    cacheDir: join(packageFolder(), 'node_modules/.vite-parity'),
    server: { fs: { allow: [packageFolder()] } },
    plugins: [
      {
        name: 'quern:parity',
        configureServer: ({ middlewares }) =>
          void middlewares.use(serveModels(dirs.map(openDirectory))),
      },
    ],
  });
}

/** Of this package: the checkout, or where it is installed. */
function packageFolder(): string {
  let folder = dirname(PAGE_MODULE);
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}
