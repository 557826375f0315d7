import { afterEach, describe, expect, it, vi } from 'vitest';
import type { AdapterRecord } from '../../../src/gpu/adapter_record.ts';
import { defineKernel, shaderHash } from '../../../src/gpu/kernel.ts';
import { PLAIN_FACTS } from '../../support/device_facts.ts';

const RECORD: AdapterRecord = {
  passed: ['a case: reduce_subgroup'],
  dropped: [
    { variant: 'matmul_tile', error: 0.25, reason: 'off by 0.25' },
    { variant: 'matmul_few', error: NaN, reason: 'does not compile' },
  ],
};

/** A thread that has just started: nothing in its memory. */
async function freshThread() {
  vi.resetModules();
  return import('../../../src/gpu/adapter_record.ts');
}

/** The Cache API as far as it is used. */
function stubCaches(): Map<string, string> {
  const stored = new Map<string, string>();
  const cache = {
    async match(url: string) {
      const text = stored.get(url);
      return text === undefined ? undefined : new Response(text);
    },
    async put(url: string, response: Response) {
      stored.set(new Request(url).url, await response.text());
    },
  };
  vi.stubGlobal('caches', { open: async () => cache });
  return stored;
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('what is known of an adapter', () => {
  it('is kept for the thread where there is no storage', async () => {
    const { recallAdapter, rememberAdapter } = await freshThread();
    expect(await recallAdapter(PLAIN_FACTS, 1)).toBeUndefined();
    await rememberAdapter(PLAIN_FACTS, 1, RECORD);
    expect(await recallAdapter(PLAIN_FACTS, 1)).toEqual(RECORD);
    const next = await freshThread();
    expect(await next.recallAdapter(PLAIN_FACTS, 1)).toBeUndefined();
  });

  it('is kept for other threads and later visits where there is', async () => {
    const stored = stubCaches();
    const { rememberAdapter } = await freshThread();
    await rememberAdapter(PLAIN_FACTS, 1, RECORD);
    expect(stored.size).toBe(1);
    const next = await freshThread();
    expect(await next.recallAdapter(PLAIN_FACTS, 1)).toEqual(RECORD);
  });

  it('is of one adapter, in one version of the browser', async () => {
    stubCaches();
    vi.stubGlobal('navigator', { userAgent: 'Browser/1' });
    const { recallAdapter, rememberAdapter } = await freshThread();
    await rememberAdapter(PLAIN_FACTS, 1, RECORD);
    for (const name of ['vendor', 'architecture', 'device', 'description'] as const) {
      expect(await recallAdapter({ ...PLAIN_FACTS, [name]: 'other' }, 1)).toBeUndefined();
    }
    vi.stubGlobal('navigator', { userAgent: 'Browser/2' });
    expect(await recallAdapter(PLAIN_FACTS, 1)).toBeUndefined();
    vi.stubGlobal('navigator', { userAgent: 'Browser/1' });
    expect(await recallAdapter(PLAIN_FACTS, 1)).toEqual(RECORD);
  });

  it('is forgotten when a shader changes, and takes no more room', async () => {
    const stored = stubCaches();
    const { recallAdapter, rememberAdapter } = await freshThread();
    await rememberAdapter(PLAIN_FACTS, 1, RECORD);
    expect(await recallAdapter(PLAIN_FACTS, 2)).toBeUndefined();
    const later = { passed: ['other'], dropped: [] };
    await rememberAdapter(PLAIN_FACTS, 2, later);
    expect(await recallAdapter(PLAIN_FACTS, 2)).toEqual(later);
    expect(stored.size).toBe(1);
  });

  it.each([
    '',
    '{',
    'null',
    '[]',
    '{"version":1}',
    '{"version":1,"passed":[3],"dropped":[]}',
    '{"version":1,"passed":{},"dropped":[]}',
    '{"version":1,"passed":[],"dropped":[{"variant":"matmul_tile"}]}',
    '{"version":1,"passed":[],"dropped":[{"variant":1,"error":0,"reason":""}]}',
    '{"version":"1","passed":[],"dropped":[]}',
  ])('is nothing if the record is %j', async (text) => {
    const stored = stubCaches();
    const { rememberAdapter } = await freshThread();
    await rememberAdapter(PLAIN_FACTS, 1, RECORD);
    for (const url of stored.keys()) stored.set(url, text);
    const next = await freshThread();
    expect(await next.recallAdapter(PLAIN_FACTS, 1)).toBeUndefined();
  });

  it.each([
    { what: 'is forbidden', open: () => Promise.reject(new DOMException('no', 'SecurityError')) },
    {
      what: 'throws at once',
      open: () => {
        throw new Error('no');
      },
    },
    {
      what: 'is full and unreadable',
      open: async () => ({
        match: async () => ({ text: () => Promise.reject(new Error('no')) }),
        put: () => Promise.reject(new DOMException('full', 'QuotaExceededError')),
      }),
    },
  ])('never fails because storage $what', async ({ open }) => {
    vi.stubGlobal('caches', { open });
    const { recallAdapter, rememberAdapter } = await freshThread();
    expect(await recallAdapter(PLAIN_FACTS, 1)).toBeUndefined();
    await rememberAdapter(PLAIN_FACTS, 1, RECORD);
    expect(await recallAdapter(PLAIN_FACTS, 1)).toEqual(RECORD);
  });
});

describe('shaderHash', () => {
  it('is the same until there is another shader', () => {
    const before = shaderHash();
    expect(shaderHash()).toBe(before);
    defineKernel({ name: 'new', source: '// new', bindings: {} });
    expect(shaderHash()).not.toBe(before);
  });
});
