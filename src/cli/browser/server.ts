import type { InlineConfig } from 'vite';
import { NoWebGpuError } from '../../util/errors.ts';

/** Pages that are served on this machine. */
export interface PageServer {
  /** With a slash at the end, e.g. `http://127.0.0.1:5173/`. */
  readonly origin: string;
  close(): Promise<void>;
}

/**
 * Serves pages on a free port of this machine, from sources compiled on the way. Files that change meanwhile change
 * nothing: no page is loaded anew.
 *
 * @throws {NoWebGpuError} if the package vite is not installed
 */
export async function servePages({ server, ...config }: InlineConfig): Promise<PageServer> {
  const { createServer } = await loadVite();
  const running = await createServer({
    ...config,
    logLevel: 'error',
    server: { ...server, host: '127.0.0.1', port: 0, hmr: false, watch: null },
  });
  await running.listen();
  return { origin: originOf(running), close: () => running.close() };
}

/**
 * Serves a folder with a built site on a free port of this machine.
 *
 * @throws {NoWebGpuError} if the package vite is not installed
 */
export async function serveSite(
  folder: string,
  headers: Readonly<Record<string, string>>,
): Promise<PageServer> {
  const { preview } = await loadVite();
  const running = await preview({
    configFile: false,
    logLevel: 'error',
    appType: 'mpa',
    build: { outDir: folder },
    preview: { host: '127.0.0.1', port: 0, headers },
  });
  return { origin: originOf(running), close: () => running.close() };
}

async function loadVite(): Promise<typeof import('vite')> {
  try {
    return await import('vite');
  } catch (cause) {
    throw new NoWebGpuError(
      `browser: the package "vite" could not be loaded (${String(cause)}); install it with: npm install --save-dev vite`,
      { cause },
    );
  }
}

function originOf({ httpServer }: { readonly httpServer: Listening | null }): string {
  const address = httpServer?.address();
  if (typeof address !== 'object' || address === null) {
    throw new NoWebGpuError('browser: the server for its page has no port');
  }
  return `http://127.0.0.1:${address.port}/`;
}

interface Listening {
  address(): { readonly port: number } | string | null;
}
