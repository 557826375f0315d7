import { DownloadError, RequestError } from '../../util/errors.ts';
import { describeValue, isRecord } from '../../util/objects.ts';
import { readExactly } from '../read_exactly.ts';
import type { ByteSource, ModelSource } from '../source.ts';

/**
 * A source of the caller's, who need not be type-checked: what it gives is. Null is as good as undefined.
 *
 * @throws {RequestError} if it cannot open files
 */
export function ownSource(source: ModelSource): ModelSource {
  if (typeof source.name !== 'string' || typeof source.open !== 'function') {
    throw new RequestError('model: a ModelSource without name or open, expected both', {
      param: 'model',
    });
  }
  return {
    name: source.name,
    async open(path, signal) {
      const file: unknown = (await source.open(path, signal)) ?? undefined;
      if (file === undefined) return undefined;
      if (!isByteSource(file)) {
        throw new DownloadError(
          path,
          `the source opened ${describeValue(file)}, expected a ByteSource`,
        );
      }
      const { name, size } = file;
      return { name, size, read: (...range) => readExactly(file, ...range) };
    },
    ...(source.list && { list: async () => (await source.list?.()) ?? [] }),
  };
}

function isByteSource(file: unknown): file is ByteSource {
  return (
    isRecord(file) &&
    typeof file['name'] === 'string' &&
    Number.isSafeInteger(file['size']) &&
    typeof file['read'] === 'function'
  );
}
