/** Reading and answering HTTP requests. @module */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describeValue, isRecord } from '../../util/objects.ts';
import { ApiError } from './api_error.ts';

/**
 * Reads a JSON object that was sent.
 *
 * @throws {ApiError} 413 if it is longer than `maxBytes`, 415 if it is not said to be JSON, 400 if it is none
 */
export async function readJson(
  request: IncomingMessage,
  maxBytes: number,
): Promise<Readonly<Record<string, unknown>>> {
  const type = request.headers['content-type'] ?? '';
  // Pages of other sites may send anything else without asking first.
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new ApiError(
      415,
      `request: Content-Type is ${type === '' ? 'missing' : describeValue(type)}, expected application/json`,
    );
  }
  const text = new TextDecoder().decode(await readBytes(request, maxBytes));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ApiError(400, `request: the body is not JSON: ${reason}`, { cause });
  }
  if (isRecord(value)) return value;
  throw new ApiError(400, `request: the body is ${describeValue(value)}, expected an object`);
}

async function readBytes(request: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const tooLong = (): ApiError =>
    new ApiError(413, `request: the body is longer than ${maxBytes} bytes; send a shorter one`);
  if (Number(request.headers['content-length']) > maxBytes) throw tooLong();
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    request.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes <= maxBytes) {
        parts.push(part);
        return;
      }
      parts.length = 0;
      reject(tooLong()); // what still comes is thrown away, so that the client gets to read the answer
    });
    request.once('end', () => resolve(Buffer.concat(parts)));
    request.once('error', reject);
    request.once('close', () => reject(new Error('the client has gone')));
  });
}

/** Answers with JSON, unless the client has gone. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
    ...headers,
  });
  response.end(text);
}

/** Answers with server-sent events. https://html.spec.whatwg.org/multipage/server-sent-events.html */
export class EventStream {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
    response.writeHead(200, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-cache, no-transform',
      'X-Accel-Buffering': 'no', // nginx would gather them
    });
    response.flushHeaders();
  }

  /** Sends one event; resolves when there is room for the next, or the client has gone. */
  async send(data: unknown): Promise<void> {
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    if (this.#response.destroyed || this.#response.write(`data: ${text}\n\n`)) return;
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        this.#response.off('drain', settle).off('close', settle);
        resolve();
      };
      this.#response.once('drain', settle).once('close', settle);
    });
  }

  end(): void {
    this.#response.end();
  }
}
