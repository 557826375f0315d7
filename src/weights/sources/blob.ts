import { DownloadError } from '../../util/errors.ts';
import type { ByteSource } from '../source.ts';

/** Reads from a `Blob` or a picked `File`, which the browser may keep on disk. */
export function blobBytes(name: string, blob: Blob): ByteSource {
  return {
    name,
    size: blob.size,
    async read(begin, end, signal) {
      signal?.throwIfAborted();
      let bytes: Uint8Array<ArrayBuffer>;
      try {
        bytes = new Uint8Array(await blob.slice(begin, end).arrayBuffer());
      } catch (cause) {
        throw new DownloadError(
          name,
          'the file cannot be read; it was moved, deleted or changed since it was picked, pick it again',
          { cause },
        );
      }
      signal?.throwIfAborted();
      return bytes;
    },
  };
}
