import { expect, it } from 'vitest';
import { modelKey, plainCopy } from '../../../src/worker/post.ts';

it('names a model by where it is from and its options, whatever their order', () => {
  const from = { kind: 'text', text: 'owner/name/' } as const;
  const key = modelKey<'engine'>(from, {
    contextLength: 8,
    speculation: { draft: 'a/b', tokens: 2 },
  });
  expect(key).toBeDefined();
  const same = { speculation: { tokens: 2, draft: 'a/b' }, contextLength: 8 };
  expect(modelKey<'engine'>({ ...from, text: 'owner/name' }, same)).toBe(key);
  const others = [{ ...same, speculation: { draft: 'a/c' } }, { contextLength: 8 }];
  for (const options of others) expect(modelKey<'engine'>(from, options)).not.toBe(key);
});

it('names no model of which a page has a part for itself', () => {
  const from = { kind: 'text', text: 'owner/name' } as const;
  const file = new File([], 'config.json');
  expect(modelKey<'engine'>(from, { speculation: { draft: [file] } })).toBeUndefined();
  expect(modelKey<'engine'>({ kind: 'files', files: [] }, {})).toBeUndefined();
});

it('refuses data that holds itself', () => {
  const data: Record<string, unknown> = {};
  data['list'] = [data];
  expect(() => plainCopy({ tools: data }, 'request')).toThrow(
    'request: tools is nested more than 500 deep, or holds itself, expected plain data',
  );
});
