type Tree = { readonly [name: string]: string | Tree };

/** A directory handle over a tree of texts, as far as reading goes. */
export function directoryHandle(name: string, tree: Tree): FileSystemDirectoryHandle {
  const entry = (child: string, kind: 'file' | 'directory'): string | Tree => {
    if (child === '' || child === '..') throw new TypeError(`name is not allowed: ${child}`);
    if (child === 'locked') throw new DOMException('denied', 'NotAllowedError');
    const found = tree[child];
    if (found === undefined) throw new DOMException('none', 'NotFoundError');
    if ((typeof found === 'string') !== (kind === 'file')) {
      throw new DOMException('other kind', 'TypeMismatchError');
    }
    return found;
  };
  const handle = {
    kind: 'directory',
    name,
    async getDirectoryHandle(child: string) {
      const found = entry(child, 'directory');
      return directoryHandle(child, typeof found === 'string' ? {} : found);
    },
    async getFileHandle(child: string) {
      const found = entry(child, 'file');
      return { getFile: async () => new File([typeof found === 'string' ? found : ''], child) };
    },
    async *entries() {
      for (const [child, value] of Object.entries(tree)) {
        yield [child, { kind: typeof value === 'string' ? 'file' : 'directory' }] as const;
      }
    },
  };
  // The parts that are left out are never called.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return handle as unknown as FileSystemDirectoryHandle;
}
