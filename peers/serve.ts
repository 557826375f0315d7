/** Serves the page with Vite, everything from this machine. @module */
import { fileURLToPath } from 'node:url';
import { createServer } from 'vite';

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));

export interface PageServer {
  readonly address: string;
  close(): Promise<void>;
}

/** @param port - the next free one is taken if this is not */
export async function servePage(port: number): Promise<PageServer> {
  const server = await createServer({
    configFile: false,
    root: `${REPOSITORY}peers/page`,
    cacheDir: `${REPOSITORY}peers/node_modules/.vite`,
    logLevel: 'warn',
    server: {
      port,
      // A file that is saved must not load the page anew while it measures.
      hmr: false,
      watch: null,
      fs: { allow: [REPOSITORY] },
      // Engines of WebAssembly have threads, and clocks tick finely, in pages that share nothing with others.
      headers: {
        'Cross-Origin-Opener-Policy': 'same-origin',
        'Cross-Origin-Embedder-Policy': 'require-corp',
      },
    },
    optimizeDeps: {
      // These find their WebAssembly beside themselves.
      exclude: ['onnxruntime-web', '@huggingface/transformers', '@wllama/wllama'],
      include: ['protobufjs'],
    },
  });
  await server.listen();
  const address = server.resolvedUrls?.local[0];
  if (address === undefined) throw new Error('peers: the server of the page has no address');
  return { address, close: () => server.close() };
}
