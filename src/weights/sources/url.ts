/**
 * Files of a web server, read by range requests (RFC 9110 §14).
 *
 * Opening a file asks for its first bytes; what the server answers decides how the rest is read:
 *
 *   206  ranges work: each read is one request, small files and headers come with the first
 *   200  ranges are ignored: the body is the whole file and is kept as a Blob
 *   416  the file is empty
 *   404  there is no such file
 *
 * Where no reply comes, one is asked for without a range.
 *
 * @module
 */
import { DownloadError } from '../../util/errors.ts';
import type { ByteSource, ModelSource } from '../source.ts';
import { blobBytes } from './blob.ts';
import { isUnanswered, PassingError, request } from './http.ts';
import type { HttpOptions } from './http.ts';

/** Bytes of the first request: configurations, and the headers of most weight files, fit in. */
const HEAD_BYTES = 2 ** 18;

/** What `Content-Range: bytes 0-99/1234` says. */
interface ContentRange {
  readonly begin: number;
  /** Size of the whole file; undefined where the server says `*`. */
  readonly total: number | undefined;
}

/** What identifies one version of a file: both must stay the same from range to range. */
interface Version {
  /** Entity tag without its weakness mark; null where the server sends or exposes none. */
  readonly etag: string | null;
  /** Size of the whole file in bytes. */
  readonly size: number;
}

/**
 * A model in a folder of a web server.
 *
 * @param base - address of the folder; its query is sent along with every file
 */
export function urlSource(base: URL, options: HttpOptions = {}): ModelSource {
  const folder = base.pathname.endsWith('/') ? base.pathname : `${base.pathname}/`;
  /** Whether requests with a range have failed where one without has not. */
  let wantsWhole = false;
  return {
    name: `${base.origin}${folder}`,
    async open(path, signal) {
      const url = new URL(base);
      url.pathname = folder + path.split('/').map(encodeURIComponent).join('/');
      if (wantsWhole) return openWhole(url.href, options, signal);
      try {
        return await openUrl(url.href, options, signal);
      } catch (error) {
        if (!isUnanswered(error)) throw error;
        // Chromium cannot decode compressed replies to such requests, and not every server of another origin allows them.
        const atOnce = { ...options, retryDelayMs: 0 };
        const file = await openWhole(url.href, atOnce, signal).catch(() => {
          signal?.throwIfAborted();
          throw error;
        });
        wantsWhole = true;
        return file;
      }
    },
  };
}

async function openUrl(
  url: string,
  options: HttpOptions,
  signal: AbortSignal | undefined,
): Promise<ByteSource | undefined> {
  const init = { headers: rangeHeader(0, HEAD_BYTES) };
  return request(url, init, options, signal, async (response) =>
    response.status === 206 && !isFallbackPage(response)
      ? openRanges(url, response, options, signal)
      : openReply(url, response),
  );
}

function openWhole(
  url: string,
  options: HttpOptions,
  signal: AbortSignal | undefined,
): Promise<ByteSource | undefined> {
  return request(url, {}, options, signal, (response) => openReply(url, response));
}

/** What a reply that is no range says of a file. */
async function openReply(url: string, response: Response): Promise<ByteSource | undefined> {
  const { status } = response;
  const isFile = !isFallbackPage(response);
  if (status === 200 && isFile) return blobBytes(url, await response.blob());
  await response.body?.cancel();
  if (status === 416) return blobBytes(url, new Blob());
  if (status === 404) return expectEntryMissing(url, response);
  if (response.ok && !isFile) return undefined;
  throw new DownloadError(url, `the server answered ${status}, expected the file`, { status });
}

async function openRanges(
  url: string,
  response: Response,
  options: HttpOptions,
  signal: AbortSignal | undefined,
): Promise<ByteSource> {
  // A range of the compressed file: Chromium makes one from a reply in its cache to a request for the whole file.
  if (isCompressed(response)) {
    await response.body?.cancel();
    return downloadWhole(url, options, signal);
  }
  expectBegin(url, response, 0);
  const head = await body(response, HEAD_BYTES);
  const size = contentRange(response)?.total ?? (await sizeByHead(url, options, signal));
  // Neither header is visible, e.g. across origins: the length of a whole reply is.
  if (size === undefined) return downloadWhole(url, options, signal);
  expectLength(head, Math.min(HEAD_BYTES, size));
  const version = { etag: etagOf(response), size };
  return {
    name: url,
    size,
    async read(begin, end, readSignal, memory) {
      readSignal?.throwIfAborted();
      if (end <= head.length || begin === end) return head.slice(begin, end);
      return readRange(url, version, begin, end, options, readSignal, memory);
    },
  };
}

function readRange(
  url: string,
  version: Version,
  begin: number,
  end: number,
  options: HttpOptions,
  signal: AbortSignal | undefined,
  memory: ArrayBuffer | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const init = { headers: rangeHeader(begin, end) };
  return request(url, init, options, signal, async (response) => {
    const { status } = response;
    if (status !== 206) {
      await response.body?.cancel();
      const expected = `expected 206 with bytes [${begin}, ${end}) of ${version.size}`;
      throw new DownloadError(url, `the server answered ${status}, ${expected}`, { status });
    }
    expectBegin(url, response, begin);
    expectVersion(url, response, version);
    return expectLength(await body(response, end - begin, memory), end - begin);
  });
}

function downloadWhole(
  url: string,
  options: HttpOptions,
  signal: AbortSignal | undefined,
): Promise<ByteSource> {
  return request(url, {}, options, signal, async (response) => {
    const { status } = response;
    if (status === 200) return blobBytes(url, await response.blob());
    await response.body?.cancel();
    throw new DownloadError(url, `the server answered ${status}, expected the file`, { status });
  });
}

function sizeByHead(
  url: string,
  options: HttpOptions,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  return request(url, { method: 'HEAD' }, options, signal, async (response) => {
    const length = response.headers.get('Content-Length');
    // A compressed reply's length is not that of the file.
    return response.ok && !isCompressed(response) && length !== null ? Number(length) : undefined;
  });
}

function isCompressed(response: Response): boolean {
  return (response.headers.get('Content-Encoding') ?? 'identity') !== 'identity';
}

/** Servers of single-page applications answer with their start page in place of 404. */
function isFallbackPage(response: Response): boolean {
  return response.headers.get('Content-Type')?.startsWith('text/html') === true;
}

/** The hub says with a 404 whether it is the file that is missing, or the repository or revision. */
function expectEntryMissing(url: string, response: Response): undefined {
  const code = response.headers.get('X-Error-Code');
  if (code === null || code === 'EntryNotFound') return undefined;
  const found = response.headers.get('X-Error-Message') ?? 'not found';
  throw new DownloadError(url, `${code}: ${found}; check the name and revision of the model`, {
    status: response.status,
  });
}

/** Caches and proxies may answer with another range (RFC 9110 §15.3.7): those bytes would be taken for the wrong weights. */
function expectBegin(url: string, response: Response, begin: number): void {
  const found = contentRange(response)?.begin ?? begin;
  if (found === begin) return;
  throw new DownloadError(
    url,
    `the server answered with bytes from ${found}, expected those from ${begin}`,
    { status: response.status },
  );
}

function expectVersion(url: string, response: Response, expected: Version): void {
  const etag = etagOf(response) ?? expected.etag;
  const size = contentRange(response)?.total ?? expected.size;
  if (size !== expected.size || (expected.etag !== null && etag !== expected.etag)) {
    throw new DownloadError(
      url,
      `the file changed while it was read: now ${size} bytes and ETag ${etag}, before ${expected.size} bytes and ETag ${expected.etag}; load the model again`,
    );
  }
}

function expectLength(bytes: Uint8Array<ArrayBuffer>, expected: number): Uint8Array<ArrayBuffer> {
  if (bytes.length === expected) return bytes;
  throw new PassingError(`${bytes.length} bytes came, expected ${expected}`);
}

/**
 * The bytes of a reply of at most `size` bytes, in `memory` if it is large enough.
 *
 * `arrayBuffer()` makes a new buffer each time, and a second one on the way.
 */
async function body(
  response: Response,
  size: number,
  memory: ArrayBuffer = new ArrayBuffer(0),
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = byteReader(response);
  if (reader === undefined) return new Uint8Array(await response.arrayBuffer());
  let buffer = memory.byteLength < size ? new ArrayBuffer(size) : memory;
  let length = 0;
  let isDone = false;
  while (!isDone && length < size) {
    // The stream takes the buffer away and hands it back under another name.
    const { done, value } = await reader.read(new Uint8Array(buffer, length, size - length));
    isDone = done;
    if (value === undefined) break;
    buffer = value.buffer;
    length += value.length;
  }
  if (!isDone && !(await reader.read(new Uint8Array(1))).done) {
    await reader.cancel();
    throw new PassingError(`more than the expected ${size} bytes came`);
  }
  return new Uint8Array(buffer, 0, length);
}

/** Undefined where the platform, or a `fetch` of the caller's, cannot read into given memory. */
function byteReader({ body }: Response): ReadableStreamBYOBReader | undefined {
  try {
    return body?.getReader({ mode: 'byob' });
  } catch {
    return undefined;
  }
}

function rangeHeader(begin: number, end: number): Record<string, string> {
  return { Range: `bytes=${begin}-${end - 1}` };
}

/** Undefined where the header is absent or hidden. */
function contentRange(response: Response): ContentRange | undefined {
  const said = /^bytes (\d+)-\d+\/(?:(\d+)|\*)$/.exec(response.headers.get('Content-Range') ?? '');
  if (said === null) return undefined;
  return { begin: Number(said[1]), total: said[2] === undefined ? undefined : Number(said[2]) };
}

function etagOf(response: Response): string | null {
  return response.headers.get('ETag')?.replace(/^W\//, '') ?? null;
}
