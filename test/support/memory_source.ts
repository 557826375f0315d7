import type { ByteSource, ModelSource } from '../../src/weights/source.ts';

/** A model whose files are byte arrays; waits a turn of the event loop before each answer. */
export function memorySource(files: Readonly<Record<string, Uint8Array | string>>): ModelSource {
  return {
    name: 'test model',
    async open(path, signal) {
      await turn();
      signal?.throwIfAborted();
      const contents = files[path];
      if (contents === undefined) return undefined;
      const isText = typeof contents === 'string';
      return memoryBytes(path, isText ? new TextEncoder().encode(contents) : contents);
    },
  };
}

/** A file that is a byte array. */
export function memoryBytes(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    size: bytes.length,
    async read(begin, end, signal) {
      await turn();
      signal?.throwIfAborted();
      return bytes.slice(begin, end);
    },
  };
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
