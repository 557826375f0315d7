import { describe, expect, it } from 'vitest';
import { DownloadError, RequestError } from '../../../../src/util/errors.ts';
import { filesSource } from '../../../../src/weights/sources/files.ts';

/** A file picked on its own or, with a path, within a folder. */
function file(name: string, text = name, path?: string): File {
  const picked = new File([text], name);
  // Browsers give a path to the files of a picked folder; Node's File has no such property.
  if (path !== undefined) Object.defineProperty(picked, 'webkitRelativePath', { value: path });
  return picked;
}

function inFolder(path: string): File {
  return file(path.slice(path.lastIndexOf('/') + 1), path, path);
}

describe('filesSource', () => {
  it('finds single files by their names', async () => {
    const source = filesSource([file('config.json'), file('model.safetensors', 'abcdef')]);
    const model = await source.open('model.safetensors');
    expect(model).toMatchObject({ name: 'model.safetensors', size: 6 });
    expect(await model?.read(1, 3)).toEqual(new TextEncoder().encode('bc'));
    expect(await source.open('none')).toBeUndefined();
    expect(await source.list?.()).toEqual(['config.json', 'model.safetensors']);
  });

  it('takes the folder that holds all files for the repository', async () => {
    const paths = ['my models/tiny/sub/a', 'my models/tiny/config.json', 'my models/tiny/sub/b'];
    const source = filesSource(paths.map(inFolder));
    expect(source.name).toBe('my models/tiny');
    expect(await source.open('config.json')).toBeDefined();
    expect(await source.open('sub/b')).toBeDefined();
    expect(await source.list?.()).toEqual(['config.json']);
  });

  it('does not take part of a folder name for a folder', async () => {
    const source = filesSource([inFolder('model-1/a'), inFolder('model-2/a')]);
    expect(await source.open('model-2/a')).toBeDefined();
  });

  it('refuses no files, and two of one path', () => {
    expect(() => filesSource([])).toThrow(RequestError);
    expect(() => filesSource([file('a'), file('a')])).toThrow('the file a was given twice');
  });

  it('notices a file that can no longer be read', async () => {
    const gone = file('gone');
    gone.slice = () => {
      throw new DOMException('gone', 'NotReadableError');
    };
    const opened = await filesSource([gone]).open('gone');
    await expect(opened?.read(0, 4)).rejects.toThrow(DownloadError);
  });

  it('rejects with the reason of an abort', async () => {
    const reason = new Error('enough');
    const source = filesSource([file('a')]);
    await expect(source.open('a', AbortSignal.abort(reason))).rejects.toBe(reason);
    const opened = await source.open('a');
    await expect(opened?.read(0, 1, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});
