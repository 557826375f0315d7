import { DownloadError } from '../../util/errors.ts';
import type { ModelSource } from '../source.ts';
import { blobBytes } from './blob.ts';

/** A model in a folder that the user chose with `showDirectoryPicker()`, or in the page's private file system. */
export function directoryHandleSource(directory: FileSystemDirectoryHandle): ModelSource {
  return {
    name: directory.name,
    async open(path, signal) {
      signal?.throwIfAborted();
      const folders = path.split('/');
      const fileName = folders.pop() ?? '';
      try {
        let folder = directory;
        for (const name of folders) folder = await folder.getDirectoryHandle(name);
        const file = await (await folder.getFileHandle(fileName)).getFile();
        return blobBytes(path, file);
      } catch (cause) {
        if (isAbsence(cause)) return undefined;
        throw refusal(directory.name, cause);
      }
    },
    async list() {
      const names: string[] = [];
      try {
        for await (const [name, entry] of directory.entries()) {
          if (entry.kind === 'file') names.push(name);
        }
      } catch (cause) {
        throw refusal(directory.name, cause);
      }
      return names;
    },
  };
}

/** File System standard: no entry of that name, or one of the other kind. */
function isAbsence(error: unknown): boolean {
  return (
    error instanceof DOMException &&
    (error.name === 'NotFoundError' || error.name === 'TypeMismatchError')
  );
}

function refusal(folder: string, cause: unknown): DownloadError {
  return new DownloadError(
    folder,
    'the folder cannot be read; let the user grant access again (handle.requestPermission())',
    { cause },
  );
}
