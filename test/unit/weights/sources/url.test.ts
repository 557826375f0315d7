import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DownloadError } from '../../../../src/util/errors.ts';
import type { ByteSource } from '../../../../src/weights/source.ts';
import { urlSource } from '../../../../src/weights/sources/url.ts';
import { checkHttpOptions, type HttpOptions } from '../../../../src/weights/sources/http.ts';
import { countingBytes } from '../../../support/safetensors_file.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Larger than the first request, so that later ranges have to be asked for. */
const BIG = countingBytes(270_000);

let server: Server;
let base: URL;
let handler: Handler;
let log: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    log.push(`${request.method} ${request.url} ${request.headers.range ?? 'whole'}`);
    handler(request, response);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  base = new URL(`http://127.0.0.1:${address.port}/models/a`);
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

afterEach(() => {
  log = [];
});

interface RangeOptions {
  readonly contents?: Uint8Array;
  readonly contentRange?: string;
  readonly etag?: string | null;
}

/** Answers the way RFC 9110 §14 has it. */
function serveRanges(
  request: IncomingMessage,
  response: ServerResponse,
  { contents = BIG, contentRange, etag = '"v1"' }: RangeOptions = {},
): void {
  const [begin = 0, last = 0] = (request.headers.range?.slice(6).split('-') ?? []).map(Number);
  if (begin >= contents.length) {
    response.writeHead(416, { 'Content-Range': `bytes */${contents.length}` }).end();
    return;
  }
  const end = Math.min(last + 1, contents.length);
  response.writeHead(206, {
    'Content-Range': contentRange ?? `bytes ${begin}-${end - 1}/${contents.length}`,
    'Content-Length': end - begin,
    ...(etag === null ? {} : { ETag: etag }),
  });
  response.end(contents.subarray(begin, end));
}

async function open(path = 'big', options: HttpOptions = {}): Promise<ByteSource> {
  const file = await urlSource(base, { retryDelayMs: 1, ...options }).open(path);
  if (file === undefined) throw new Error('the file was not found');
  return file;
}

const unreachable: typeof fetch = () => Promise.reject(new TypeError('Failed to fetch'));

/** The failure of reading the end of a file whose first range came. */
async function failureOfRead(second: Handler): Promise<DownloadError> {
  handler = serveRanges;
  const file = await open();
  handler = second;
  const error = await file.read(265_000, 270_000).catch((reason: unknown) => reason);
  if (error instanceof DownloadError) return error;
  throw new Error('no DownloadError was thrown', { cause: error });
}

describe('a server with ranges', () => {
  it('is asked for exactly what is read', async () => {
    handler = serveRanges;
    const file = await open('sub folder/big#1');
    expect(file.size).toBe(270_000);
    expect(await file.read(10, 20)).toEqual(BIG.slice(10, 20));
    expect(await file.read(262_140, 265_000)).toEqual(BIG.slice(262_140, 265_000));
    expect(await file.read(270_000, 270_000)).toEqual(new Uint8Array());
    expect(log).toEqual([
      'GET /models/a/sub%20folder/big%231 bytes=0-262143',
      'GET /models/a/sub%20folder/big%231 bytes=262140-264999',
    ]);
  });

  it('sends a small file at once', async () => {
    const contents = countingBytes(100);
    handler = (request, response) => serveRanges(request, response, { contents });
    const file = await open();
    expect(await file.read(0, file.size)).toEqual(contents);
    expect(log).toHaveLength(1);
  });

  it('may have an empty file', async () => {
    handler = (request, response) => serveRanges(request, response, { contents: new Uint8Array() });
    expect((await open()).size).toBe(0);
  });

  it('may hide the size in Content-Range', async () => {
    handler = (request, response) => {
      if (request.method === 'HEAD') response.writeHead(200, { 'Content-Length': 270_000 }).end();
      else serveRanges(request, response, { contentRange: 'bytes 0-262143/*' });
    };
    expect((await open()).size).toBe(270_000);
  });

  it('may hide the size altogether', async () => {
    handler = (request, response) => {
      if (request.method === 'HEAD') response.writeHead(405).end();
      else if (request.headers.range === undefined) response.end(BIG);
      else serveRanges(request, response, { contentRange: '' });
    };
    const file = await open();
    expect(file.size).toBe(270_000);
    expect(await file.read(266_000, 266_004)).toEqual(BIG.slice(266_000, 266_004));
  });

  it('may be compressed in some replies', async () => {
    const packed = gzipSync(BIG);
    const headers = { 'Content-Encoding': 'gzip' };
    handler = (request, response) => {
      if (request.headers.range === undefined) response.writeHead(200, headers).end(packed);
      else {
        // What Chromium makes of such a reply that it has in its cache.
        const contentRange = `bytes 0-${packed.length - 1}/${packed.length}`;
        response.writeHead(206, { ...headers, 'Content-Range': contentRange }).end(packed);
      }
    };
    const file = await open();
    expect(file.size).toBe(270_000);
    expect(await file.read(266_000, 266_004)).toEqual(BIG.slice(266_000, 266_004));
  });

  it('gets the headers and the query of the address', async () => {
    let seen: string | undefined;
    handler = (request, response) => {
      seen = `${request.headers.authorization} ${request.url}`;
      serveRanges(request, response);
    };
    const address = new URL(`${base}/?token=1`);
    await urlSource(address, { headers: { Authorization: 'Bearer x' } }).open('f');
    expect(seen).toBe('Bearer x /models/a/f?token=1');
  });
});

describe('a server without ranges', () => {
  it('is asked once', async () => {
    handler = (_, response) => void response.end(BIG);
    const file = await open();
    expect(file.size).toBe(270_000);
    expect(await file.read(10, 20)).toEqual(BIG.slice(10, 20));
    expect(await file.read(265_000, 270_000)).toEqual(BIG.slice(265_000));
    expect(log).toHaveLength(1);
  });

  it('that breaks off is a failure', async () => {
    handler = (_, response) => {
      response.writeHead(200, { 'Content-Length': 270_000 });
      response.write(BIG.subarray(0, 1000), () => response.destroy());
    };
    await expect(open()).rejects.toThrow(DownloadError);
    expect(log).toHaveLength(4);
  });
});

describe('a server that is only heard without ranges', () => {
  // As Chromium with replies that are compressed in any case, and servers that do not allow the header.
  const wholesOnly: typeof fetch = (url, init) =>
    new Headers(init?.headers).has('Range')
      ? Promise.reject(new TypeError('Failed to fetch'))
      : fetch(url, init);

  it('is asked with ranges once, and without from then on', async () => {
    handler = (request, response) => {
      if (request.url?.endsWith('none') === true) response.writeHead(404).end();
      else response.end(BIG);
    };
    let asked = 0;
    const counting: typeof fetch = (...call) => {
      asked += 1;
      return wholesOnly(...call);
    };
    const source = urlSource(base, { retryDelayMs: 1, fetch: counting });
    const file = await source.open('big');
    expect(await file?.read(265_000, 270_000)).toEqual(BIG.slice(265_000));
    expect(asked).toBe(5);
    expect(await source.open('none')).toBeUndefined();
    expect((await source.open('big'))?.size).toBe(270_000);
    expect(asked).toBe(7);
  });

  it('is not asked without when it answers', async () => {
    handler = (_, response) => void response.writeHead(503).end();
    await expect(open()).rejects.toThrow('503');
    expect(log.every((line) => !line.endsWith('whole'))).toBe(true);
  });
});

describe('a file that is not there', () => {
  it.each([
    ['404', (response: ServerResponse) => response.writeHead(404).end('no')],
    [
      'a start page',
      (response: ServerResponse) =>
        response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end('<html>'),
    ],
    [
      "the hub's EntryNotFound",
      (response: ServerResponse) =>
        response.writeHead(404, { 'X-Error-Code': 'EntryNotFound' }).end(),
    ],
  ])('is undefined by %s', async (_, answer) => {
    handler = (_request, response) => void answer(response);
    expect(await urlSource(base).open('none')).toBeUndefined();
  });

  it('is told from a repository or revision that is not there', async () => {
    const headers = { 'X-Error-Code': 'RevisionNotFound', 'X-Error-Message': 'Invalid rev id: x' };
    handler = (_, response) => void response.writeHead(404, headers).end();
    await expect(open()).rejects.toThrow('RevisionNotFound: Invalid rev id: x; check');
  });
});

describe('a failing server', () => {
  it.each([401, 403])('that answers %d is not asked again', async (status) => {
    handler = (_, response) => void response.writeHead(status).end();
    const failure = open();
    await expect(failure).rejects.toThrow(/private or gated.*Authorization/);
    await expect(failure).rejects.toMatchObject({ name: 'DownloadError', status });
    expect(log).toHaveLength(1);
  });

  it.each([500, 503, 429])('that answers %d is asked again', async (status) => {
    let failures = 2;
    handler = (request, response) => {
      if (failures-- > 0) response.writeHead(status).end('busy');
      else serveRanges(request, response);
    };
    expect((await open()).size).toBe(270_000);
    expect(log).toHaveLength(3);
  });

  it('is given up after three repetitions', async () => {
    handler = (_, response) => void response.writeHead(503).end();
    await expect(open()).rejects.toMatchObject({
      message: `${base.href}/big: the server answered 503 4 times; try again later`,
      status: 503,
    });
    expect(log).toHaveLength(4);
  });

  it('that sends other than the file is a failure', async () => {
    handler = (_, response) => void response.writeHead(410).end();
    await expect(open()).rejects.toThrow('the server answered 410, expected the file');
  });

  it('that cannot be reached is a failure', async () => {
    await expect(open('a', { fetch: unreachable })).rejects.toThrow(
      'the download failed (Failed to fetch); check the connection',
    );
  });
});

describe('a range', () => {
  it('is put into the memory given for it, where it is large enough', async () => {
    handler = serveRanges;
    const file = await open();
    const memory = new ArrayBuffer(6000);
    const bytes = await file.read(265_000, 270_000, undefined, memory);
    expect(bytes).toEqual(BIG.slice(265_000));
    expect(bytes.buffer.byteLength).toBe(6000);
    expect(memory.byteLength).toBe(0);
    const others = await file.read(263_000, 270_000, undefined, bytes.buffer);
    expect(others).toEqual(BIG.slice(263_000));
  });

  it('that is longer than asked for is a failure', async () => {
    handler = serveRanges;
    const file = await open();
    handler = (_request, response) => void response.writeHead(206).end(BIG.subarray(0, 5001));
    const failure = await file.read(265_000, 270_000).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DownloadError);
    expect(String(failure)).toContain('more than the expected 5000 bytes came');
  });

  it('that breaks off is asked for again', async () => {
    handler = serveRanges;
    const file = await open();
    let isFirst = true;
    handler = (request, response) => {
      if (!isFirst) return serveRanges(request, response);
      isFirst = false;
      response.writeHead(206, { 'Content-Length': 5000 });
      return void response.write(BIG.subarray(0, 1000), () => response.destroy());
    };
    expect(await file.read(265_000, 270_000)).toEqual(BIG.slice(265_000));
  });

  it('that is always short is a failure', async () => {
    const error = await failureOfRead((_, response) => {
      response.writeHead(206).end(BIG.subarray(0, 999));
    });
    expect(error.message).toContain('999 bytes came, expected 5000');
    expect(log).toHaveLength(5);
  });

  it.each([
    ['another ETag', (q, r) => serveRanges(q, r, { etag: '"v2"' })],
    ['another size', (q, r) => serveRanges(q, r, { contents: countingBytes(270_001) })],
  ] satisfies [string, Handler][])('of a file with %s is a failure', async (_, second) => {
    expect((await failureOfRead(second)).message).toContain('the file changed while it was read');
  });

  it('of other bytes than asked for is a failure', async () => {
    const error = await failureOfRead((_, response) => {
      response
        .writeHead(206, { 'Content-Range': 'bytes 0-4999/270000' })
        .end(BIG.subarray(0, 5000));
    });
    expect(error.message).toContain('answered with bytes from 0, expected those from 265000');
    handler = (_, response) => {
      response.writeHead(206, { 'Content-Range': 'bytes 9-19/20' }).end(BIG.subarray(9, 20));
    };
    await expect(open()).rejects.toThrow('answered with bytes from 9, expected those from 0');
  });

  it('may have a weaker ETag or none', async () => {
    for (const etag of ['W/"v1"', null]) {
      handler = serveRanges;
      const file = await open();
      handler = (request, response) => serveRanges(request, response, { etag });
      expect(await file.read(265_000, 270_000)).toEqual(BIG.slice(265_000));
    }
  });

  it.each([200, 404, 416])('answered by %d is a failure', async (status) => {
    const error = await failureOfRead((_, response) => void response.writeHead(status).end());
    expect(error).toMatchObject({ status });
    expect(error.message).toContain('expected 206 with bytes [265000, 270000) of 270000');
  });
});

describe('options', () => {
  it.each<[object, string]>([
    [{ fetch: 5 }, 'load: http.fetch is 5, expected headers ('],
    [{ retryDelayMs: -1 }, 'load: http.retryDelayMs is -1, expected'],
    [{ retryDelayMs: '5' }, 'load: http.retryDelayMs is "5", expected'],
    [{ header: {} }, 'load: http.header is an object, expected headers ('],
    [{ headers: 'a: b' }, 'load: http.headers is "a: b", expected'],
    [{ headers: new Headers({ a: 'b' }) }, 'load: http.headers is an object, expected'],
    [{ headers: { 'a b': 'c' } }, 'load: http.headers is an object, expected'],
    [{ headers: { Authorization: 'Bearer …' } }, 'load: http.headers is an object, expected'],
  ])('are checked: %j', (options, message) => {
    expect(() => checkHttpOptions(options)).toThrow(message);
  });

  it('may be left out', () => {
    expect(() => checkHttpOptions()).not.toThrow();
    const headers = { Authorization: 'Bearer x' };
    expect(() => checkHttpOptions({ headers, fetch, retryDelayMs: 0 })).not.toThrow();
  });
});

describe('an abort', () => {
  const reason = new Error('enough');

  async function expectAbort(start: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    const controller = new AbortController();
    const work = start(controller.signal);
    setTimeout(() => {
      controller.abort(reason);
    }, 20);
    await expect(work).rejects.toBe(reason);
  }

  it('stops before a request', async () => {
    await expect(urlSource(base).open('a', AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(log).toEqual([]);
  });

  it('stops while waiting for the server, or for the rest of a reply', async () => {
    handler = (): void => {};
    await expectAbort((signal) => urlSource(base).open('a', signal));
    handler = (_, response) => void response.writeHead(200).write('part');
    await expectAbort((signal) => urlSource(base).open('a', signal));
  });

  it('stops while pausing before a repetition', async () => {
    handler = (_, response) => void response.writeHead(503, { 'Retry-After': '20' }).end();
    await expectAbort((signal) => urlSource(base, { retryDelayMs: 60_000 }).open('a', signal));
    expect(log).toHaveLength(1);
  });

  it('stops a read', async () => {
    handler = serveRanges;
    const file = await open();
    handler = (): void => {};
    await expectAbort((signal) => file.read(265_000, 270_000, signal));
  });
});
