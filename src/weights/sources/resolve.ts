import { RequestError } from '../../util/errors.ts';
import type { ModelSource } from '../source.ts';
import { directoryHandleSource } from './directory_handle.ts';
import { filesSource } from './files.ts';
import type { HttpOptions } from './http.ts';
import { ownSource } from './own.ts';
import { urlSource } from './url.ts';

/** What a model can be loaded from. */
export type ModelLocation = string | readonly File[] | FileSystemDirectoryHandle | ModelSource;

const HUB = 'https://huggingface.co';

/** `owner/name` or `owner/name@revision`, in the characters that the hub allows. */
const HUB_ID = /^(?<id>[A-Za-z0-9][\w.-]*\/[A-Za-z0-9_][\w.-]*)(?:@(?<revision>\w[\w./-]*))?$/;

const EXPECTED =
  'a Hugging Face id (owner/name or owner/name@revision), a URL of a folder (https://…, /…, ./…), the files of a model, a directory handle or a ModelSource';

/**
 * Finds the files that a location stands for; opens nothing yet.
 *
 * @throws {RequestError} if the location is of no known form
 */
export function resolveSource(location: ModelLocation, options: HttpOptions = {}): ModelSource {
  if (typeof location === 'string') return resolveText(location, options);
  if (isFiles(location)) return filesSource(location);
  if (isModelSource(location)) return ownSource(location);
  if (isDirectoryHandle(location)) return directoryHandleSource(location);
  throw new RequestError(`model: a value of type ${typeof location}, expected ${EXPECTED}`, {
    param: 'model',
  });
}

/**
 * Makes the text of a location mean the same outside this page.
 *
 * @throws {RequestError} if it is of no known form
 */
export function absoluteLocation(text: string): string {
  return HUB_ID.test(text) ? text : textUrl(text).href;
}

function resolveText(text: string, options: HttpOptions): ModelSource {
  const { id, revision = 'main' } = HUB_ID.exec(text)?.groups ?? {};
  if (id === undefined) return urlSource(textUrl(text), options);
  const base = new URL(`${HUB}/${id}/resolve/${encodeURIComponent(revision)}/`);
  return { ...urlSource(base, options), name: text };
}

function textUrl(text: string): URL {
  const isRelative = /^\.{0,2}\//.test(text);
  if (!isRelative && !/^https?:\/\//i.test(text)) {
    throw new RequestError(`model: ${JSON.stringify(text)}, expected ${EXPECTED}`, {
      param: 'model',
    });
  }
  const page = isRelative ? pageUrl(text) : undefined;
  if (!URL.canParse(text, page)) {
    throw new RequestError(`model: ${JSON.stringify(text)} is not a valid URL`, { param: 'model' });
  }
  return new URL(text, page);
}

/** The address of the page or, in a worker, of its script. */
function pageUrl(relative: string): string {
  const url = globalThis.document?.baseURI ?? globalThis.location?.href;
  if (url === undefined) {
    throw new RequestError(
      `model: ${JSON.stringify(relative)} is relative, and there is no page here; give an absolute URL, or open the folder with openDirectory`,
      { param: 'model' },
    );
  }
  return url;
}

/** Whether a location is files that a person picked. */
export function isFiles(location: ModelLocation): location is readonly File[] {
  return Array.isArray(location) && location.every((file) => file instanceof File);
}

/** Whether a location reads its files itself. */
export function isModelSource(location: ModelLocation): location is ModelSource {
  return typeof location === 'object' && location !== null && 'open' in location;
}

function isDirectoryHandle(location: ModelLocation): location is FileSystemDirectoryHandle {
  return (
    typeof location === 'object' &&
    location !== null &&
    'kind' in location &&
    location.kind === 'directory'
  );
}
