/** What a model is loaded from: names, comparison, permission. @module */
import type { ModelLocation } from 'quern';
import { BUNDLED } from '../bundled.ts';
import type { LoadState, ModelChoice } from './types.ts';

/** `owner/name` or `owner/name@revision`. */
const HUB_ID = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9_][\w.-]*(?:@\w[\w./-]*)?$/;

/** What the user calls a model. */
export function nameOfChoice(choice: ModelChoice): string {
  switch (choice.kind) {
    case 'bundled':
      return BUNDLED.name;
    case 'remote':
      return choice.location.replace(/^https?:\/\//i, '').replace(/\/$/, '');
    case 'files':
      return choice.files[0]?.webkitRelativePath.split('/')[0] || 'the opened files';
    case 'folder':
      return choice.handle.name;
  }
}

/** What a loaded model is called: it may know its own name better. */
export function nameOfModel({ choice, stats }: Extract<LoadState, { stats: unknown }>): string {
  return choice.kind === 'bundled' ? nameOfChoice(choice) : stats.model.name;
}

/** What `Engine.load` takes for it. */
export function locationOf(choice: ModelChoice): ModelLocation {
  switch (choice.kind) {
    case 'bundled':
      return BUNDLED.url;
    case 'remote':
      return choice.location;
    case 'files':
      return choice.files;
    case 'folder':
      return choice.handle;
  }
}

/** Whether a location is a hub repository: only there is an access token sent. */
export function isHubId(location: string): boolean {
  return HUB_ID.test(location);
}

/**
 * The choice of a location that was typed or pasted, also the address of a repository's page on the hub.
 *
 * @returns a sentence about what is wrong with it where it cannot be one
 */
export function parseLocation(text: string): ModelChoice | string {
  const trimmed = text.trim();
  if (trimmed === '') return 'Enter the name of a repository or the address of a folder.';
  const hub =
    /^(?:https?:\/\/)?(?:www\.)?huggingface\.co\/([^/?#]+\/[^/?#]+)(?:\/tree\/([^?#]+?))?\/?(?:[?#].*)?$/i;
  const [, repository, revision] = hub.exec(trimmed) ?? [];
  const location =
    repository === undefined
      ? trimmed
      : `${repository}${revision === undefined ? '' : `@${revision}`}`;
  const isUrl =
    /^(?:https?:\/\/|\.{0,2}\/)/i.test(location) && URL.canParse(location, 'https://a.b');
  if (isUrl || isHubId(location)) return { kind: 'remote', location };
  return 'This is neither a repository (owner/name) nor an address (https://…).';
}

/** Whether two choices are the same model, as far as can be told. */
export async function isSameChoice(a: ModelChoice, b: ModelChoice): Promise<boolean> {
  if (a.kind === 'remote' && b.kind === 'remote') return a.location === b.location;
  if (a.kind === 'folder' && b.kind === 'folder') return a.handle.isSameEntry(b.handle);
  return a.kind === 'bundled' && b.kind === 'bundled';
}

/** https://wicg.github.io/file-system-access/#api-filesystemhandle; not in Firefox and Safari, nor in lib.dom. */
interface Permissible {
  queryPermission(): Promise<PermissionState>;
  requestPermission(): Promise<PermissionState>;
}

/**
 * Whether a folder may be read.
 *
 * @param mayAsk - opens the browser's question where it has to be asked; only possible while a click is handled
 */
export async function isFolderAllowed(
  handle: FileSystemDirectoryHandle,
  mayAsk: boolean,
): Promise<boolean> {
  if (!isPermissible(handle)) return true;
  if ((await handle.queryPermission()) === 'granted') return true;
  try {
    return mayAsk && (await handle.requestPermission()) === 'granted';
  } catch {
    // Not during a click.
    return false;
  }
}

function isPermissible(
  handle: FileSystemDirectoryHandle,
): handle is FileSystemDirectoryHandle & Permissible {
  return 'queryPermission' in handle && 'requestPermission' in handle;
}
