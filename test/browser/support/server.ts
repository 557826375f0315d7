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
  },
): Promise<TestServer> {
  const server = await createServer({
    ...config,
    logLevel: 'error',
    // Tests may run beside `npm start`, whose cache of dependencies must stay its own.
    // So must be that of each root, whose pages depend on other packages.
    cacheDir: `${REPOSITORY}node_modules/.vite-test/${basename(config.root ?? 'demo')}`,
    server: { host: '127.0.0.1', port: 0, hmr: false, watch: null, fs: { allow: [REPOSITORY] } },
  });
  await server.listen();
  const address = server.httpServer?.address();
  if (typeof address !== 'object' || address === null) {
    throw new Error('the test server has no port');
  }
  return { origin: `http://127.0.0.1:${address.port}`, close: () => server.close() };
}
