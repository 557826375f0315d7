import { RequestError } from '../../util/errors.ts';
import type { ModelSource } from '../source.ts';
import { blobBytes } from './blob.ts';

/**
 * A model from files that the user picked or dropped, by `<input type="file" multiple>` or, with folders,
 * by `<input webkitdirectory>`. The folder that all of them lie in is taken for the repository.
 *
 * @throws {RequestError} if there are no files, or two of the same path
 */
export function filesSource(files: readonly File[]): ModelSource {
  if (files.length === 0) {
    throw new RequestError('model: no files were given, expected those of a model', {
      param: 'model',
    });
  }
  // Node's File has no webkitRelativePath, and browsers leave it empty for single files.
  const paths = files.map((file) => file.webkitRelativePath || file.name);
  const folder = commonFolder(paths);
  const byPath = new Map<string, File>();
  for (const [i, file] of files.entries()) {
    const path = (paths[i] ?? '').slice(folder.length);
    if (byPath.has(path)) {
      throw new RequestError(
        `model: the file ${path} was given twice, expected the files of one model`,
        { param: 'model' },
      );
    }
    byPath.set(path, file);
  }
  return {
    name: folder === '' ? 'the given files' : folder.slice(0, -1),
    async open(path, signal) {
      signal?.throwIfAborted();
      const file = byPath.get(path);
      return file && blobBytes(path, file);
    },
    async list() {
      return [...byPath.keys()].filter((path) => !path.includes('/'));
    },
  };
}

/** Longest folder that every path begins with, with its closing slash; empty if there is none. */
function commonFolder(paths: readonly string[]): string {
  let folder = paths[0] ?? '';
  for (const path of paths) {
    folder = folder.slice(0, folder.lastIndexOf('/') + 1);
    while (!path.startsWith(folder)) {
      folder = folder.slice(0, folder.lastIndexOf('/', folder.length - 2) + 1);
    }
  }
  return folder;
}
