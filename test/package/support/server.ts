import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { serveModels } from '../../../src/cli/browser/serve_models.ts';
import { openDirectory } from '../../../src/node/directory.ts';

const TINYCHAT = fileURLToPath(new URL('../../../weights/tinychat', import.meta.url));

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
};

/** What a cautious site allows: its own scripts, workers and connections, and nothing else. */
const STRICT_POLICY =
  "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'";

/** Serves the bundled model at `/models/0/`; what it does not know goes to `next`. */
export const serveTinychat: ReturnType<typeof serveModels> = (request, response, next) =>
  request.url?.startsWith('/models/') === true
    ? serveModels([openDirectory(TINYCHAT)])(request, response, next)
    : next();

/**
 * Serves a folder under a strict Content-Security-Policy, and the bundled model, until the test ends.
 *
 * @returns origin without a slash at the end
 */
export function serveFolder(folder: string): Promise<string> {
  return serve((request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://localhost').pathname);
    const file = join(folder, path.endsWith('/') ? `${path}index.html` : path);
    readFile(file).then(
      (bytes) => {
        response.setHeader('Content-Type', CONTENT_TYPES[extname(file)] ?? 'text/plain');
        response.setHeader('Content-Security-Policy', STRICT_POLICY);
        response.end(bytes);
      },
      () => response.writeHead(404).end(),
    );
  });
}

/** Serves the bundled model, and what else is asked for by `handler`, until the test ends. */
export async function serve(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer((request, response) =>
    serveTinychat(request, response, () => handler(request, response)),
  );
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the server has no port');
  return `http://127.0.0.1:${address.port}`;
}
