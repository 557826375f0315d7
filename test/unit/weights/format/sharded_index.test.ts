import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WeightFileError } from '../../../../src/util/errors.ts';
import { parseShardedIndex } from '../../../../src/weights/format/sharded_index.ts';

function parse(text: string): ReturnType<typeof parseShardedIndex> {
  return parseShardedIndex('index.json', new TextEncoder().encode(text));
}

describe('parseShardedIndex', () => {
  it('gives the map and its distinct files', () => {
    const weightMap = { a: '2.safetensors', b: '1.safetensors', c: '2.safetensors' };
    const index = parse(JSON.stringify({ metadata: { total_size: 3 }, weight_map: weightMap }));
    expect(Object.fromEntries(index.weightMap)).toEqual(weightMap);
    expect(index.shards).toEqual(['1.safetensors', '2.safetensors']);
  });

  it.each([
    ['<html>', 'the index is not JSON'],
    ['[]', '"weight_map" is missing'],
    ['{}', '"weight_map" is missing'],
    ['{"weight_map": ["a"]}', '"weight_map" is missing or not an object'],
    ['{"weight_map": {}}', '"weight_map" is empty'],
    ['{"weight_map": {"t": 3}}', 'weight_map names 3 for tensor "t"'],
    ['{"weight_map": {"t": ""}}', 'weight_map names ""'],
    ['{"weight_map": {"t": "../a"}}', 'weight_map names "../a"'],
    ['{"weight_map": {"t": "a/../../b"}}', 'expected a file in the folder of the index'],
    ['{"weight_map": {"t": "/etc/passwd"}}', 'expected a file in the folder of the index'],
    ['{"weight_map": {"t": "..\\\\a"}}', 'expected a file in the folder of the index'],
    ['{"weight_map": {"t": "https://a.b/c"}}', 'expected a file in the folder of the index'],
    ['{"weight_map": {"t": "\\ud800"}}', 'expected a file in the folder of the index'],
    ['{"weight_map": {"t": "C:a"}}', 'expected a file in the folder of the index'],
  ])('%s: %s', (text, message) => {
    expect(() => parse(text)).toThrow(WeightFileError);
    expect(() => parse(text)).toThrow(message);
  });

  it('gives an index or a WeightFileError, whatever the JSON', () => {
    const weightMap = fc.oneof(fc.jsonValue(), fc.dictionary(fc.string(), fc.string()));
    fc.assert(
      fc.property(weightMap, (value) => {
        try {
          for (const shard of parse(JSON.stringify({ weight_map: value })).shards) {
            const path = shard.split('/').map(encodeURIComponent).join('/');
            expect(new URL(path, 'http://a/folder/').pathname).toBe(`/folder/${path}`);
          }
        } catch (error) {
          if (!(error instanceof WeightFileError)) throw error;
        }
      }),
    );
  });

  it('gives an index or a WeightFileError for a real file with changed bytes', () => {
    const folder = '../../../fixtures/conformance/llama-f16-sharded/';
    const real = readFileSync(new URL(`${folder}model.safetensors.index.json`, import.meta.url));
    fc.assert(
      fc.property(fc.nat(real.length - 1), fc.nat(255), (at, value) => {
        const bytes = Uint8Array.from(real);
        bytes[at] = value;
        try {
          expect(parseShardedIndex('index.json', bytes).shards.length).toBeGreaterThan(0);
        } catch (error) {
          if (!(error instanceof WeightFileError)) throw error;
        }
      }),
    );
  });
});
