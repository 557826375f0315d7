import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ModelSource } from '../../weights/source.ts';
import { modelPath } from './model_path.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

const BLANK_PAGE = '<!doctype html><title>Quern</title>';

/**
 * Serves models with range requests, each under its {@link modelPath}, and an empty page at the root.
 *
 * What goes wrong with a model travels in the headers with which the Hugging Face hub explains a 404; `urlSource`
 * makes an error of them again.
 */
export function serveModels(sources: readonly ModelSource[]): Handler {
  return (request, response, next) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    if (path === '/') {
      response.setHeader('Content-Type', 'text/html').end(BLANK_PAGE);
      return;
    }
    const index = sources.findIndex((_, i) => path.startsWith(modelPath(i)));
    const source = sources[index];
    if (source === undefined) {
      next();
      return;
    }
    const file = decodeURIComponent(path.slice(modelPath(index).length));
    sendFile(source, file, request.headers.range, response).catch((error: unknown) => {
      response.setHeader('X-Error-Code', 'Unreadable');
      // Headers are Latin-1.
      response.setHeader('X-Error-Message', String(error).replaceAll(/[^ -~]/g, '?'));
      response.writeHead(404).end();
    });
  };
}

async function sendFile(
  source: ModelSource,
  file: string,
  range: string | undefined,
  response: ServerResponse,
): Promise<void> {
  const bytes = await source.open(file);
  if (bytes === undefined) {
    response.writeHead(404).end();
    return;
  }
  const [, first = '0', last = ''] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
  const begin = Number(first);
  const end = Math.min(last === '' ? bytes.size : Number(last) + 1, bytes.size);
  if (begin >= end) {
    response.writeHead(range === undefined ? 200 : 416).end();
    return;
  }
  const body = await bytes.read(begin, end);
  response.setHeader('Content-Type', 'application/octet-stream');
  response.setHeader('Content-Length', end - begin);
  if (range !== undefined) {
    response.setHeader('Content-Range', `bytes ${begin}-${end - 1}/${bytes.size}`);
  }
  response.writeHead(range === undefined ? 200 : 206).end(body);
}
