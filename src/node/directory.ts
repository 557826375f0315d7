import { open, readdir, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { DownloadError, RequestError } from '../util/errors.ts';
import { describeValue } from '../util/objects.ts';
import type { ByteSource, ModelSource } from '../weights/source.ts';

/**
 * A model in a folder of this machine's file system (Node only).
 *
 * A file is open only while it is read, so there is nothing to close.
 *
 * @param directory - path of the folder that holds `config.json`
 * @throws {RequestError} if that is no text
 */
export function openDirectory(directory: string): ModelSource {
  if (typeof directory !== 'string') {
    throw new RequestError(
      `openDirectory: ${describeValue(directory)}, expected the path of a folder`,
    );
  }
  return {
    name: directory,
    async open(path, signal) {
      signal?.throwIfAborted();
      const filePath = join(directory, path);
      try {
        const file = await stat(filePath);
        return file.isFile() ? fileBytes(filePath, file.size) : undefined;
      } catch (cause) {
        if (!isAbsence(cause)) throw unreadable(filePath, cause);
        await expectDirectory(directory);
        return undefined;
      }
    },
    async list() {
      await expectDirectory(directory);
      try {
        const entries = await readdir(directory, { withFileTypes: true });
        return entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
      } catch (cause) {
        throw unreadable(directory, cause);
      }
    },
  };
}

function fileBytes(path: string, size: number): ByteSource {
  return {
    name: path,
    size,
    async read(begin, end, signal) {
      signal?.throwIfAborted();
      try {
        const handle = await open(path);
        try {
          return await readFully(handle, path, begin, end, signal);
        } finally {
          await handle.close();
        }
      } catch (cause) {
        if (codeOf(cause) === undefined) throw cause;
        throw unreadable(path, cause);
      }
    },
  };
}

async function readFully(
  handle: FileHandle,
  path: string,
  begin: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(end - begin);
  // The system may return less than asked, e.g. at most 2 GiB at once.
  for (let done = 0; done < bytes.length;) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, begin + done);
    signal?.throwIfAborted();
    if (bytesRead === 0) {
      throw new DownloadError(
        path,
        `the file ends at byte ${begin + done}, expected ${end}; it became shorter while it was read`,
      );
    }
    done += bytesRead;
  }
  return bytes;
}

async function expectDirectory(directory: string): Promise<void> {
  let found = 'there is nothing at this path';
  try {
    if ((await stat(directory)).isDirectory()) return;
    found = 'this is not a folder';
  } catch (cause) {
    if (!isAbsence(cause)) throw unreadable(directory, cause);
  }
  throw new DownloadError(directory, `${found}, expected the folder of a model`);
}

/** Nothing at the path, or a file where the path has a folder. */
function isAbsence(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '');
}

function unreadable(path: string, cause: unknown): DownloadError {
  return new DownloadError(path, `cannot be read (${codeOf(cause) ?? String(cause)})`, { cause });
}

/** The system's error code, e.g. `ENOENT`; undefined for errors that do not come from the system. */
function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}
