import type { ModelSource } from '../../src/weights/source.ts';

/** A model repository in memory: file name to content, objects as JSON. */
export function memorySource(
  files: Readonly<Record<string, Uint8Array | string | object>>,
): ModelSource {
  return {
    name: 'memory',
    open(path) {
      const content = files[path];
      if (content === undefined) return Promise.resolve(undefined);
      const text = typeof content === 'string' ? content : JSON.stringify(content);
      const bytes = content instanceof Uint8Array ? content : new TextEncoder().encode(text);
      return Promise.resolve({
        name: path,
        size: bytes.length,
        read: (begin, end) => Promise.resolve(bytes.slice(begin, end)),
      });
    },
  };
}
