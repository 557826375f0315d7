import type { ModelChoice } from './state/types.ts';

/** https://wicg.github.io/file-system-access/#drag-and-drop; not in Firefox and Safari, nor in lib.dom. */
interface WithHandle {
  getAsFileSystemHandle(): Promise<FileSystemHandle | null>;
}

/**
 * What was dropped on the page, as a model: a folder where the browser can open it again later, or else the files of
 * its top, where those of a model lie, and single files.
 *
 * @param transfer - read at once: the browser empties it when the event ends
 * @returns undefined if there is nothing in it
 */
export async function droppedModel(transfer: DataTransfer): Promise<ModelChoice | undefined> {
  const items = [...transfer.items].filter(({ kind }) => kind === 'file');
  const [item] = items;
  const handling =
    item !== undefined && items.length === 1 && hasHandle(item)
      ? item.getAsFileSystemHandle()
      : undefined;
  const reading = Promise.all(items.map(filesOf));
  const handle = await handling?.catch(() => null);
  // Reading it twice costs little: only names and sizes.
  const files = (await reading).flat();
  if (isFolder(handle)) return { kind: 'folder', handle };
  return files.length === 0 ? undefined : { kind: 'files', files };
}

async function filesOf(item: DataTransferItem): Promise<readonly File[]> {
  const [entry, file] = [item.webkitGetAsEntry(), item.getAsFile()];
  if (isDirectory(entry)) return Promise.all((await childrenOf(entry)).filter(isFile).map(fileOf));
  return file === null ? [] : [file];
}

function hasHandle(item: DataTransferItem): item is DataTransferItem & WithHandle {
  return 'getAsFileSystemHandle' in item;
}

function isFolder(
  handle: FileSystemHandle | null | undefined,
): handle is FileSystemDirectoryHandle {
  return handle?.kind === 'directory';
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile;
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
