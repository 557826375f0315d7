import { afterEach, describe, expect, it, vi } from 'vitest';
import { RequestError } from '../../../../src/util/errors.ts';
import { resolveSource } from '../../../../src/weights/sources/resolve.ts';
import type { ModelLocation } from '../../../../src/weights/sources/resolve.ts';
import { memorySource } from '../../../support/memory_source.ts';
import { directoryHandle } from './directory_handle.ts';

/** The address that the location's config.json is fetched from. */
async function configUrl(location: string): Promise<string | undefined> {
  let address: string | undefined;
  const record: typeof fetch = (input) => {
    address = input instanceof Request ? input.url : String(input);
    return Promise.resolve(new Response(null, { status: 404 }));
  };
  await resolveSource(location, { fetch: record }).open('config.json');
  return address;
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('resolveSource', () => {
  const hub = 'https://huggingface.co';
  it.each([
    ['HuggingFaceTB/SmolLM2-135M', `${hub}/HuggingFaceTB/SmolLM2-135M/resolve/main/config.json`],
    ['a/b.c@v1.0', `${hub}/a/b.c/resolve/v1.0/config.json`],
    ['a/b@refs/pr/1', `${hub}/a/b/resolve/refs%2Fpr%2F1/config.json`],
    ['https://a.b/m', 'https://a.b/m/config.json'],
    ['HTTP://a.b/m/', 'http://a.b/m/config.json'],
    ['https://a.b', 'https://a.b/config.json'],
  ])('%s is fetched from %s', async (location, url) => {
    expect(await configUrl(location)).toBe(url);
  });

  it.each([
    ['/weights/tiny', 'https://page.test/weights/tiny/config.json'],
    ['./tiny', 'https://page.test/app/tiny/config.json'],
    ['../tiny/', 'https://page.test/tiny/config.json'],
    ['//other.test/tiny', 'https://other.test/tiny/config.json'],
  ])('%s is taken relative to the page', async (location, url) => {
    vi.stubGlobal('location', { href: 'https://page.test/app/index.html' });
    expect(await configUrl(location)).toBe(url);
  });

  it('refuses a relative URL where there is no page, or one without folders', () => {
    expect(() => resolveSource('./tiny')).toThrow('is relative, and there is no page here');
    vi.stubGlobal('location', { href: 'blob:https://page.test/1' });
    expect(() => resolveSource('./tiny')).toThrow('"./tiny" is not a valid URL');
  });

  it('keeps the id as the name', () => {
    expect(resolveSource('a/b@v1').name).toBe('a/b@v1');
  });

  it('takes files, handles and sources', async () => {
    expect(await resolveSource([new File([], 'config.json')]).open('config.json')).toBeDefined();
    const handle = directoryHandle('tiny', { 'config.json': '{}' });
    expect(await resolveSource(handle).open('config.json')).toBeDefined();
    const source = resolveSource(memorySource({ 'config.json': '{}' }));
    expect(source.name).toBe('test model');
    expect((await source.open('config.json'))?.size).toBe(2);
  });

  it.each<[unknown, string | undefined]>([
    [null, undefined],
    [{}, 'config.json: the source opened an object, expected a ByteSource'],
    [{ name: 'f', size: '2', read() {} }, 'config.json: the source opened an object'],
    ['{}', 'config.json: the source opened "{}", expected a ByteSource'],
  ])('checks what a source opens: %j', async (file, message) => {
    const opening = resolveSource({ name: 'own', open: async () => file as never }).open(
      'config.json',
    );
    if (message === undefined) expect(await opening).toBeUndefined();
    else await expect(opening).rejects.toThrow(message);
  });

  it.each([
    '',
    'gpt2',
    'a/b/c',
    'a/../b',
    'file:///a',
    'blob:https://a/b',
    'C:\\a',
    'https://',
    'a b/c',
    'a/b@',
    'a/b@..',
  ])('refuses %j', (location) => {
    expect(() => resolveSource(location)).toThrow(RequestError);
  });

  it.each([[null], [3], [undefined], [['a']], [{}], [[]], [Object.create(null)], [{ open: 5 }]])(
    'refuses %j, which types forbid',
    (location: unknown) => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      expect(() => resolveSource(location as ModelLocation)).toThrow(RequestError);
    },
  );
});
