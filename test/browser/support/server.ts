import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createServer, type InlineConfig } from 'vite';

const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url));

/** A Vite development server for a test. */
export interface TestServer {
  /** Origin without a slash at the end, e.g. `http://127.0.0.1:5173`. */
  readonly origin: string;
  close(): Promise<void>;
}

/**
 * Serves files of the repository, TypeScript and `?raw` imports included, on a free port.
 *
 * @param config - what to serve: the repository as it is, unless a root or a configuration file is given
 */
export async function startServer(
  config: Pick<InlineConfig, 'root' | 'configFile' | 'optimizeDeps' | 'plugins'> = {
    root: REPOSITORY,
    configFile: false,
    // Not the pages of `peers/`, whose packages are not there.
    optimizeDeps: { entries: ['demo/*.html', 'test/browser/pages/*.ts'] },
  },
): Promise<TestServer> {
  // Tests run beside `npm start` and each other: two servers that prepare dependencies in one folder spoil it for both, and
  // pages of each root depend on other packages.
  const cacheDir = `${REPOSITORY}node_modules/.vite-test/${process.pid}-${basename(config.root ?? 'demo')}`;
  const server = await createServer({
    ...config,
    logLevel: 'error',
    cacheDir,
    server: { host: '127.0.0.1', port: 0, hmr: false, watch: null, fs: { allow: [REPOSITORY] } },
  });
  await server.listen();
  const address = server.httpServer?.address();
  if (typeof address !== 'object' || address === null) {
    throw new Error('the test server has no port');
  }
  const close = async (): Promise<void> => {
    await server.close();
    await rm(cacheDir, { recursive: true, force: true });
  };
  return { origin: `http://127.0.0.1:${address.port}`, close };
}
