/**
 * The files of what was dropped on the page: those of a folder's top, where the files of a model lie, and single files.
 *
 * @param transfer - read at once: the browser empties it when the event ends
 */
export async function droppedFiles(transfer: DataTransfer): Promise<readonly File[]> {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry());
  const files = await Promise.all(
    entries.map(async (entry) => {
      if (isFile(entry)) return [await fileOf(entry)];
      if (isDirectory(entry))
        return Promise.all((await childrenOf(entry)).filter(isFile).map(fileOf));
      return [];
    }),
  );
  return files.flat();
}

function isFile(entry: FileSystemEntry | null): entry is FileSystemFileEntry {
  return entry?.isFile === true;
}

function isDirectory(entry: FileSystemEntry | null): entry is FileSystemDirectoryEntry {
  return entry?.isDirectory === true;
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** A reader gives the entries in parts (Chromium: 100), and an empty part at the end. */
async function childrenOf(directory: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = directory.createReader();
  const children: FileSystemEntry[] = [];
  for (;;) {
    const part = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (part.length === 0) return children;
    children.push(...part);
  }
}
