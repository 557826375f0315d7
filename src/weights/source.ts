/** Where the files of a model come from: one interface for URLs, picked files, handles and folders. @module */
import { decodeUtf8, parseJson } from './format/json.ts';
import type { Fail } from './format/json.ts';
import { readExactly } from './read_exactly.ts';

/** One file, readable at any place. Holds no resource that needs closing. */
export interface ByteSource {
  /** For messages and progress: a path, a file name or a URL. */
  readonly name: string;
  /** Size in bytes. */
  readonly size: number;
  /**
   * Reads `end - begin` bytes, never fewer. The caller owns the result.
   *
   * @param memory - what the result may be put in, where it is large enough; the caller has no further use for it
   * @throws {DownloadError} if they cannot be had
   * @throws `signal.reason` when aborted
   */
  read(
    begin: number,
    end: number,
    signal?: AbortSignal,
    memory?: ArrayBuffer,
  ): Promise<Uint8Array<ArrayBuffer>>;
}

/** The files of one model repository. */
export interface ModelSource {
  /** For messages: a repository id, a URL or a folder. */
  readonly name: string;
  /**
   * Opens a file by its path within the repository, with forward slashes.
   *
   * @returns undefined if there is no such file
   * @throws {DownloadError} if the place itself cannot be reached or refuses us
   * @throws `signal.reason` when aborted
   */
  open(path: string, signal?: AbortSignal): Promise<ByteSource | undefined>;
  /** Names of the files at the top, where the place can tell; a web server cannot. */
  list?(): Promise<readonly string[]>;
}

/** Longest text file we hold in memory; the largest tokenizer.json in use has about 40 MB. */
const MAX_TEXT_BYTES = 2 ** 28;

/**
 * Reads a whole text file.
 *
 * @param fail - makes the caller's error for a file that is there but no use: too long, not UTF-8
 * @returns undefined if there is no such file
 */
export async function readText(
  source: ModelSource,
  path: string,
  fail: Fail,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const bytes = await readSmall(source, path, fail, signal);
  return bytes === undefined ? undefined : decodeUtf8(bytes, fail);
}

/**
 * Reads a whole JSON file.
 *
 * @param fail - makes the caller's error for a file that is there but no use: too long, not JSON
 * @returns undefined if there is no such file
 */
export async function readJson(
  source: ModelSource,
  path: string,
  fail: Fail,
  signal?: AbortSignal,
): Promise<unknown> {
  const bytes = await readSmall(source, path, fail, signal);
  return bytes === undefined ? undefined : parseJson(bytes, fail).value;
}

/** Reads a whole file that is meant to be held in memory; undefined if there is no such file. */
export async function readSmall(
  source: ModelSource,
  path: string,
  fail: Fail,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const file = await source.open(path, signal);
  if (file === undefined) return undefined;
  if (file.size > MAX_TEXT_BYTES) {
    throw fail(`has ${file.size} bytes, expected at most ${MAX_TEXT_BYTES}`);
  }
  return readExactly(file, 0, file.size, signal);
}
