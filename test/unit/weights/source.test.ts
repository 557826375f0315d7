import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../../src/util/errors.ts';
import { readJson, readText } from '../../../src/weights/source.ts';
import { memorySource } from '../../support/memory_source.ts';

const fail = (message: string, options?: ErrorOptions): ConfigError =>
  new ConfigError(`config.json ${message}`, options);

describe('readText and readJson', () => {
  const source = memorySource({
    'config.json': '{"a": [1]}',
    'bad.json': '{"a": ',
    latin1: Uint8Array.of(0x63, 0xe9),
  });

  it('read a file', async () => {
    expect(await readText(source, 'config.json', fail)).toBe('{"a": [1]}');
    expect(await readJson(source, 'config.json', fail)).toEqual({ a: [1] });
  });

  it('give undefined for a file that is not there', async () => {
    expect(await readText(source, 'none', fail)).toBeUndefined();
    expect(await readJson(source, 'none', fail)).toBeUndefined();
  });

  it("fail with the caller's error", async () => {
    await expect(readJson(source, 'bad.json', fail)).rejects.toThrow(
      new ConfigError('config.json is not JSON (it begins with "{\\"a\\": ")'),
    );
    await expect(readText(source, 'latin1', fail)).rejects.toThrow('config.json is not UTF-8 text');
  });

  it.each([
    [undefined, /^f: .*came for \[0, 2\), expected 2 bytes/],
    [new Uint8Array(3), /^f: 3 bytes came/],
    [[1, 2], /^f: /],
  ])('refuse what is not the bytes asked for: %o', async (bytes, message) => {
    const read = async (): Promise<Uint8Array<ArrayBuffer>> => bytes as never;
    const wrong = { name: 'wrong', open: async () => ({ name: 'f', size: 2, read }) };
    await expect(readText(wrong, 'f', fail)).rejects.toThrow(message);
  });

  it('refuse a file too large for a string', async () => {
    const huge = {
      name: 'huge',
      open: async () => ({ name: 'h', size: 2 ** 33, read: async () => new Uint8Array() }),
    };
    await expect(readText(huge, 'h', fail)).rejects.toThrow('config.json has 8589934592 bytes');
  });
});
