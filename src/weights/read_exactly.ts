import { DownloadError } from '../util/errors.ts';
import { describeValue } from '../util/objects.ts';
import type { ByteSource } from './source.ts';

/** `file.read`, with its promise of exactly `end - begin` bytes checked: sources may be the caller's own. */
export async function readExactly(
  file: ByteSource,
  begin: number,
  end: number,
  signal?: AbortSignal,
  memory?: ArrayBuffer,
): Promise<Uint8Array<ArrayBuffer>> {
  signal?.throwIfAborted();
  const bytes = await file.read(begin, end, signal, memory);
  const isArray = (bytes as unknown) instanceof Uint8Array;
  if (isArray && bytes.length === end - begin) return bytes;
  const found = isArray ? `${bytes.length} bytes` : describeValue(bytes);
  throw new DownloadError(
    file.name,
    `${found} came for [${begin}, ${end}), expected ${end - begin} bytes in a Uint8Array`,
  );
}
