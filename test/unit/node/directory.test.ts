import { mkdtemp, mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDirectory } from '../../../src/node/directory.ts';
import { DownloadError } from '../../../src/util/errors.ts';

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quern-'));
  await mkdir(join(folder, 'sub'));
  await writeFile(join(folder, 'sub/data'), Uint8Array.of(0, 1, 2, 3, 4));
  await writeFile(join(folder, 'text'), 'text');
});

afterAll(() => rm(folder, { recursive: true }));

describe('openDirectory', () => {
  it('reads ranges of files, below folders too', async () => {
    const file = await openDirectory(folder).open('sub/data');
    expect(file?.size).toBe(5);
    expect(await file?.read(1, 4)).toEqual(Uint8Array.of(1, 2, 3));
    expect(await file?.read(5, 5)).toEqual(new Uint8Array());
  });

  it('wants the path of a folder', () => {
    expect(() => openDirectory(undefined as never)).toThrow('openDirectory: nothing, expected the');
  });

  it('knows which files there are', async () => {
    const source = openDirectory(folder);
    expect(await source.open('none')).toBeUndefined();
    expect(await source.open('sub')).toBeUndefined();
    expect(await source.open('text/below')).toBeUndefined();
    expect(await source.list?.()).toEqual(['text']);
  });

  it('refuses a path that is no folder', async () => {
    const missing = openDirectory(join(folder, 'none'));
    await expect(missing.open('config.json')).rejects.toThrow('there is nothing at this path');
    const file = openDirectory(join(folder, 'text'));
    await expect(file.open('config.json')).rejects.toThrow('this is not a folder');
    await expect(file.list?.()).rejects.toThrow(DownloadError);
  });

  it('notices a file that became shorter or went away', async () => {
    const path = join(folder, 'shrinking');
    await writeFile(path, 'a long text');
    const file = await openDirectory(folder).open('shrinking');
    await truncate(path, 4);
    await expect(file?.read(0, 11)).rejects.toThrow('the file ends at byte 4, expected 11');
    await rm(path);
    await expect(file?.read(0, 4)).rejects.toThrow(DownloadError);
  });

  it('rejects with the reason of an abort', async () => {
    const reason = new Error('enough');
    const source = openDirectory(folder);
    await expect(source.open('text', AbortSignal.abort(reason))).rejects.toBe(reason);
    const file = await source.open('text');
    await expect(file?.read(0, 4, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});
