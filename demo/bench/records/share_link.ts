/** Reports in the fragment of a link: `#r=`, then base64url of raw deflate of their JSON. No server sees a fragment. @module */
import { type BenchReport, readReports, reportSet } from '../../../src/bench/index.ts';

/** What the fragment of a link with a result begins with. */
const PREFIX = '#r=';

/** Longest fragment in characters: mail and chat programs cut longer links, and Firefox shows no longer address. */
const MAX_LENGTH = 64_000;

/** Most bytes of JSON that are unpacked: what somebody else's link may cost here. */
const MAX_BYTES = 2 ** 24;

/** A link that cannot be made or read; the message says why and what to do. */
class LinkError extends Error {
  override readonly name = 'LinkError';
}

/**
 * The address of a page with reports in its fragment.
 *
 * @throws {LinkError} if they do not fit
 */
export async function linkOf(reports: readonly BenchReport[], page: string): Promise<string> {
  const json = new TextEncoder().encode(JSON.stringify(reportSet(reports)));
  const packed = await readAll(through(json, new CompressionStream('deflate-raw')), Infinity);
  const url = new URL(page);
  url.search = '';
  url.hash = PREFIX + toBase64Url(packed);
  if (url.hash.length > MAX_LENGTH) {
    throw new LinkError(
      `The result is too large for a link: ${url.hash.length.toLocaleString('en')} characters, at most ${MAX_LENGTH.toLocaleString('en')}. Save it as a JSON file instead.`,
    );
  }
  return url.href;
}

/** Whether a fragment says that it holds a result. */
export function isResultLink(hash: string): boolean {
  return hash.startsWith(PREFIX);
}

/**
 * Reads the reports of a fragment.
 *
 * @throws {LinkError} if it is damaged or holds too much
 * @throws {RequestError} if what it holds are no reports
 */
export async function reportsOf(hash: string): Promise<readonly BenchReport[]> {
  let json: unknown;
  try {
    const packed = fromBase64Url(hash.slice(PREFIX.length));
    const bytes = await readAll(through(packed, new DecompressionStream('deflate-raw')), MAX_BYTES);
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    if (cause instanceof LinkError) throw cause;
    throw new LinkError(
      'The link is damaged, perhaps because it was cut. Ask for it again, or for the JSON file.',
      { cause },
    );
  }
  return readReports(json);
}

function through(
  bytes: Uint8Array<ArrayBuffer>,
  transform: CompressionStream | DecompressionStream,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new Blob([bytes]).stream().pipeThrough(transform);
}

async function readAll(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  // Safari's streams cannot be iterated over.
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
    length += value.length;
    if (length > maxBytes) {
      void reader.cancel();
      throw new LinkError(
        `The link holds more than ${maxBytes / 2 ** 20} MiB, which no result does.`,
      );
    }
    parts.push(value);
  }
}

function toBase64Url(bytes: Uint8Array): string {
  const text = Array.from(bytes, (byte) => String.fromCodePoint(byte)).join('');
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  const bytes = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(bytes, (byte) => byte.codePointAt(0) ?? 0);
}
