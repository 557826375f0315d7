import { describe, expect, it } from 'vitest';
import { DownloadError } from '../../../../src/util/errors.ts';
import { directoryHandleSource } from '../../../../src/weights/sources/directory_handle.ts';
import { directoryHandle } from './directory_handle.ts';

describe('directoryHandleSource', () => {
  const source = directoryHandleSource(
    directoryHandle('tiny', { 'config.json': '{}', sub: { data: 'abcdef' } }),
  );

  it('reads files, below folders too', async () => {
    const file = await source.open('sub/data');
    expect(file).toMatchObject({ name: 'sub/data', size: 6 });
    expect(await file?.read(2, 4)).toEqual(new TextEncoder().encode('cd'));
  });

  it('knows which files there are', async () => {
    for (const path of ['none', 'sub', 'none/data', 'config.json/data']) {
      expect(await source.open(path)).toBeUndefined();
    }
    expect(await source.list?.()).toEqual(['config.json']);
  });

  it('gives a named error where access is refused or a name is impossible', async () => {
    await expect(source.open('locked')).rejects.toThrow(DownloadError);
    await expect(source.open('../a')).rejects.toThrow(DownloadError);
  });

  it('rejects with the reason of an abort', async () => {
    const reason = new Error('enough');
    await expect(source.open('config.json', AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});
