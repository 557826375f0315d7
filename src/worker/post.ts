/**
 * What a page gives to a model, in a form that can be posted, and back.
 *
 * @module
 */
import { RequestError } from '../util/errors.ts';
import { ownSource } from '../weights/sources/own.ts';
import {
  absoluteLocation,
  isFiles,
  isModelSource,
  type ModelLocation,
} from '../weights/sources/resolve.ts';
import type { Kind, PostedLocation, PostedOptions, RemoteOptions } from './protocol.ts';
import { remoteSource, serveSource } from './source.ts';

/** A location on its way to a worker. */
export interface LocationPost {
  readonly location: PostedLocation;
  readonly transfer: Transferable[];
  /** Ends the reading of a source that stays in the page. */
  readonly close: () => void;
}

/**
 * Makes a location independent of the page.
 *
 * @throws {RequestError} if it is text of no known form, or a source that cannot open files
 */
export function postLocation(from: ModelLocation): LocationPost {
  const post = (location: PostedLocation): LocationPost => ({
    location,
    transfer: [],
    close: () => undefined,
  });
  if (typeof from === 'string') return post({ kind: 'text', text: absoluteLocation(from) });
  if (isFiles(from)) {
    const files = from.map((file) => ({ file, path: file.webkitRelativePath }));
    return post({ kind: 'files', files });
  }
  // Anything that is no location at all is told so by the worker.
  if (!isModelSource(from)) return post({ kind: 'handle', handle: from });
  const source = ownSource(from);
  const { port1, port2 } = new MessageChannel();
  serveSource(source, port1);
  return {
    location: {
      kind: 'source',
      name: source.name,
      canList: source.list !== undefined,
      port: port2,
    },
    transfer: [port2],
    close: () => port1.close(),
  };
}

/** The location that {@link postLocation} made ready, in the worker. */
export function receiveLocation(location: PostedLocation): ModelLocation {
  switch (location.kind) {
    case 'text':
      return location.text;
    case 'files':
      return location.files.map(({ file, path }) =>
        Object.defineProperty(file, 'webkitRelativePath', { value: path }),
      );
    case 'handle':
      return location.handle;
    case 'source':
      return remoteSource(location.name, location.canList, location.port);
  }
}

/**
 * The options that go to the worker.
 *
 * @throws {RequestError} if there is one that cannot
 */
export function postOptions<K extends Kind>(options: RemoteOptions<K>): PostedOptions<K> {
  const {
    worker: _worker,
    signal: _signal,
    onProgress: _onProgress,
    onRecovery: _onRecovery,
    gpu,
    ...rest
  } = options;
  refuse('gpu', gpu);
  refuse('http.fetch', options.http?.fetch);
  return plainCopy(rest, 'load');
}

function refuse(name: string, value: unknown): void {
  if (value === undefined) return;
  throw new RequestError(
    `load: ${name} is given, expected none with a worker, to which it cannot be sent; leave it out, or load with worker: false`,
    { param: name },
  );
}

/**
 * Names a model by what it was loaded from and with.
 *
 * @returns undefined for what belongs to one page: its files, handles and sources
 */
export function modelKey<K extends Kind>(
  from: PostedLocation,
  options: PostedOptions<K>,
): string | undefined {
  if (from.kind !== 'text' || !isData(options)) return undefined;
  const text = from.text.replace(/\/+$/, '');
  return JSON.stringify([text, options], (_, value: unknown) =>
    isPlainObject(value) ? Object.fromEntries(Object.entries(value).toSorted(byKey)) : value,
  );
}

/** Whether there is nothing but data in it: no file or handle, of which JSON keeps nothing. */
function isData(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return (Array.isArray(value) || isPlainObject(value)) && Object.values(value).every(isData);
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

/** Data that is nested deeper holds itself. */
const MAX_DEPTH = 500;

/**
 * Copies data without what frameworks wrap it in to watch it: such proxies cannot be posted.
 *
 * @param where - for messages: what the data is part of
 * @throws {RequestError} if there is a function or a symbol in it, or it holds itself, which names it
 */
export function plainCopy<T>(data: T, where: string): T {
  // Same shape, same values.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return copy(data, where, []) as T;
}

function copy(value: unknown, where: string, path: readonly (string | number)[]): unknown {
  if (typeof value === 'function' || typeof value === 'symbol') {
    const name = path
      .map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 ? key : `.${key}`))
      .join('');
    throw new RequestError(
      `${where}: ${name} is a ${typeof value}, expected data, which alone can be sent to a worker`,
      { param: String(path[0]) },
    );
  }
  if (path.length > MAX_DEPTH) {
    throw new RequestError(
      `${where}: ${path[0]} is nested more than ${MAX_DEPTH} deep, or holds itself, expected plain data`,
      { param: String(path[0]) },
    );
  }
  if (Array.isArray(value)) return value.map((one, i) => copy(one, where, [...path, i]));
  if (!isPlainObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, copy(one, where, [...path, key])]),
  );
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
