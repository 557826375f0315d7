import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WeightFileError } from '../../../../src/util/errors.ts';
import {
  DTYPE_BITS,
  headerLength,
  parseHeader,
} from '../../../../src/weights/format/safetensors.ts';
import type { SafetensorsHeader } from '../../../../src/weights/format/safetensors.ts';
import { countingBytes, rawFile, safetensorsFile } from '../../../support/safetensors_file.ts';

const FIXTURE = new URL(
  '../../../fixtures/conformance/llama-bf16/model.safetensors',
  import.meta.url,
);

function parseFile(bytes: Uint8Array): SafetensorsHeader {
  const length = headerLength('a.safetensors', bytes.subarray(0, 8), bytes.length);
  return parseHeader('a.safetensors', bytes.subarray(8, 8 + length), bytes.length);
}

/** Parses a file whose header is the JSON of `header`. */
function parseRaw(header: unknown, dataBytes = 0): SafetensorsHeader {
  return parseFile(rawFile(JSON.stringify(header), new Uint8Array(dataBytes)));
}

/** Parses a file of a single tensor `t`. */
function parseOne(entry: unknown, dataBytes = 0): SafetensorsHeader {
  return parseRaw({ t: entry }, dataBytes);
}

function failureOf(run: () => unknown): WeightFileError {
  try {
    run();
  } catch (error) {
    if (error instanceof WeightFileError) return error;
    throw error;
  }
  throw new Error('no error was thrown');
}

/** The first eight bytes of a file. */
function withLength(length: bigint): Uint8Array {
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigUint64(0, length, true);
  return prefix;
}

function expectHeaderOrError(bytes: Uint8Array): void {
  let header: SafetensorsHeader;
  try {
    header = parseFile(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(WeightFileError);
    return;
  }
  const covered = header.tensors.reduce((sum, { begin, end }) => sum + end - begin, 0);
  const length = headerLength('a', bytes.subarray(0, 8), bytes.length);
  expect(covered).toBe(bytes.length - 8 - length);
}

describe('a valid file', () => {
  it('gives tensors in file order with absolute offsets', () => {
    const header = {
      second: { dtype: 'F16', shape: [3], data_offsets: [24, 30] },
      first: { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] },
      __metadata__: { format: 'pt' },
    };
    const file = rawFile(JSON.stringify(header), new Uint8Array(30));
    const begin = file.length - 30;
    const parsed = parseFile(file);
    expect(parsed.tensors).toEqual([
      { name: 'first', dtype: 'F32', shape: [2, 3], begin, end: begin + 24 },
      { name: 'second', dtype: 'F16', shape: [3], begin: begin + 24, end: begin + 30 },
    ]);
    expect([...parsed.metadata]).toEqual([['format', 'pt']]);
  });

  it('may have no tensors, scalars, and empty tensors', () => {
    expect(parseRaw({}).tensors).toEqual([]);
    const empty = { dtype: 'F32', shape: [0, 7], data_offsets: [4, 4] };
    const scalar = { dtype: 'F32', shape: [], data_offsets: [0, 4] };
    const { tensors } = parseRaw({ empty, scalar, alsoEmpty: empty }, 4);
    expect(tensors.map(({ name }) => name)).toEqual(['scalar', 'empty', 'alsoEmpty']);
  });

  it('may pad its header with spaces to any length, and have a tensor named __proto__', () => {
    const entry = '{"dtype":"U8","shape":[1],"data_offsets":[0,1]}';
    const { tensors } = parseFile(rawFile(`{"__proto__":${entry}}   `, new Uint8Array(1)));
    expect(tensors[0]?.name).toBe('__proto__');
  });

  it.each(Object.entries(DTYPE_BITS))('may hold %s', (dtype, bits) => {
    const { tensors } = parseOne({ dtype, shape: [8], data_offsets: [0, bits] }, bits);
    expect(tensors[0]).toMatchObject({ dtype, shape: [8] });
  });

  it('is any real one', () => {
    const { tensors, metadata } = parseFile(readFileSync(FIXTURE));
    expect(tensors.map(({ name }) => name)).toContain('model.embed_tokens.weight');
    expect(metadata.get('format')).toBe('pt');
  });
});

describe('the length field', () => {
  it.each([
    [0n, 7, '7 bytes, fewer than the 8'],
    [9007199254740993n, 2 ** 20, 'header length 9007199254740993 is larger than the file (1048576'],
    [93n, 100, 'header length 93 is larger than the file (100 bytes)'],
    [
      100_000_001n,
      2 ** 30,
      "header length 100000001 is larger than the format's limit of 100000000",
    ],
  ])('%d in a file of %d bytes: %s', (length, fileBytes, message) => {
    const prefix = withLength(length).subarray(0, fileBytes);
    const error = failureOf(() => headerLength('a.safetensors', prefix, fileBytes));
    expect(error.message).toContain(message);
  });

  it('may be as large as the format allows', () => {
    expect(headerLength('a', withLength(92n), 100)).toBe(92);
    expect(headerLength('a', withLength(100_000_000n), 2 ** 30)).toBe(100_000_000);
  });

  it.each([
    ['<!DOCTYPE html>', 'an HTML or XML page'],
    ['PK\x03\x04\0\0\b\b\0\0', 'a zip archive'],
    ['\x80\x02\x8a\nl\xfc\x9cF\xf9', 'a Python pickle'],
    ['GGUF\x03\0\0\0', 'a GGUF file'],
    ['version https://git-lfs', 'a Git LFS pointer'],
    ['{"error": "no"}', 'a JSON document'],
  ])('tells that %j is %s', (start, kind) => {
    const bytes = Uint8Array.from(start, (char) => char.charCodeAt(0));
    expect(failureOf(() => parseFile(bytes)).message).toContain(`this is ${kind}`);
  });
});

describe('the header', () => {
  it.each([
    ['', 'is not JSON (it begins with "")'],
    ['{"t": ', 'is not JSON'],
    ['\uFEFF{}', 'is not JSON'],
    ['[]', 'is not a JSON object'],
    ['null', 'is not a JSON object'],
    ['{"a":{},"\\u0061":{}}', 'header has the key "a" twice'],
    ['{"a":{"dtype":"U8","dtype":"I8"}}', 'header has the key "dtype" twice'],
    ['{"__metadata__":[]}', 'has __metadata__ []'],
    ['{"__metadata__":{"epoch":3}}', 'has __metadata__.epoch 3, expected a string'],
  ])('%j: %s', (header, message) => {
    expect(failureOf(() => parseFile(rawFile(header))).message).toContain(message);
  });

  it('must be UTF-8', () => {
    const file = rawFile('{"xx":0}');
    file[10] = 0xff;
    expect(failureOf(() => parseFile(file)).message).toContain('header is not UTF-8');
  });

  it('may repeat keys in different objects, and braces and quotes within strings', () => {
    const text =
      '{"a{\\"}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}';
    expect(parseFile(rawFile(text)).tensors).toHaveLength(2);
  });
});

describe('a tensor', () => {
  const f32 = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
  it.each([
    ['no object', 3, 8, 'its header entry is 3'],
    ['no dtype', { ...f32, dtype: undefined }, 8, 'unknown dtype missing'],
    ['unknown dtype', { ...f32, dtype: 'Q4_K' }, 8, 'unknown dtype "Q4_K", expected one of BOOL'],
    ['inherited dtype', { ...f32, dtype: 'toString' }, 8, 'unknown dtype "toString"'],
    ['shape of text', { ...f32, shape: '2' }, 8, 'shape is "2"'],
    ['negative size', { ...f32, shape: [-2] }, 8, 'shape is [-2], expected a list of integers ≥ 0'],
    ['fractional size', { ...f32, shape: [0.5, 4] }, 8, 'shape is [0.5,4]'],
    ['overflowing shape', { ...f32, shape: [2 ** 30, 2 ** 30, 0] }, 8, 'overflows'],
    ['part of a byte', { dtype: 'F4', shape: [3], data_offsets: [0, 2] }, 2, 'is 12 bits'],
    ['no offsets', { ...f32, data_offsets: undefined }, 8, 'data_offsets is missing'],
    ['one offset', { ...f32, data_offsets: [8] }, 8, 'data_offsets is [8]'],
    ['fractional offset', { ...f32, data_offsets: [0.5, 8.5] }, 9, 'data_offsets is [0.5,8.5]'],
    ['negative offset', { ...f32, data_offsets: [-8, 0] }, 8, 'data_offsets is [-8,0]'],
    [
      'huge offset',
      { ...f32, data_offsets: [0, 2 ** 53] },
      8,
      'data_offsets is [0,9007199254740992]',
    ],
    ['reversed', { ...f32, data_offsets: [8, 0] }, 8, '[8, 0] end before they begin'],
    ['other size', { ...f32, shape: [3] }, 8, 'hold 8 bytes, but F32 [3] needs 12'],
    ['misaligned', { ...f32, data_offsets: [2, 10] }, 10, 'begin at 2, misaligned for F32'],
    ['out of range', { ...f32, data_offsets: [4, 12] }, 8, 'reach past the 8 bytes of data'],
    ['hole before', { ...f32, data_offsets: [4, 12] }, 12, 'leaves 4 unused bytes after the start'],
  ])('with %s', (_, entry, dataBytes, message) => {
    const error = failureOf(() => parseOne(entry, dataBytes));
    expect(error.message).toContain(message);
    expect(error.message).toMatch(/^a\.safetensors: tensor "t": /);
    expect(error.tensor).toBe('t');
  });

  it('must not overlap another', () => {
    const error = failureOf(() => parseRaw({ a: f32, b: { ...f32, data_offsets: [4, 12] } }, 12));
    expect(error.message).toContain('tensor "b": begins at 4 and overlaps tensor "a", expected 8');
  });

  it('must not leave bytes at the end', () => {
    expect(failureOf(() => parseOne(f32, 11)).message).toContain(
      '3 bytes after tensor "t" belong to no tensor',
    );
  });

  it('need not be aligned to more than four bytes', () => {
    const wide = { dtype: 'I64', shape: [1], data_offsets: [4, 12] };
    const scale = { dtype: 'F32', shape: [], data_offsets: [0, 4] };
    expect(parseRaw({ wide, scale }, 12).tensors).toHaveLength(2);
  });
});

describe('whatever the bytes', () => {
  it('random ones give a header or a WeightFileError', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), expectHeaderOrError));
  });

  it('random JSON gives a header or a WeightFileError', () => {
    const entry = fc.record(
      {
        dtype: fc.oneof(fc.constantFrom(...Object.keys(DTYPE_BITS)), fc.string()),
        shape: fc.oneof(
          fc.array(fc.oneof(fc.nat(4), fc.double()), { maxLength: 3 }),
          fc.jsonValue(),
        ),
        data_offsets: fc.oneof(fc.tuple(fc.nat(16), fc.nat(16)), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    const header = fc.oneof(fc.dictionary(fc.string(), entry), fc.jsonValue());
    fc.assert(
      fc.property(header, fc.nat(32), (value, dataBytes) => {
        expectHeaderOrError(rawFile(JSON.stringify(value), new Uint8Array(dataBytes)));
      }),
    );
  });

  it('a real file with changed or missing bytes gives a header or a WeightFileError', () => {
    const real = safetensorsFile({
      'a.weight': { dtype: 'F32', shape: [2, 2], bytes: countingBytes(16) },
      'b.weight': { dtype: 'BF16', shape: [3], bytes: countingBytes(6) },
    });
    const changes = fc.array(fc.tuple(fc.nat(real.length - 1), fc.nat(255)), { maxLength: 3 });
    fc.assert(
      fc.property(changes, fc.integer({ min: 0, max: real.length }), (edits, length) => {
        const bytes = real.slice();
        for (const [at, value] of edits) bytes[at] = value;
        expectHeaderOrError(bytes);
        expectHeaderOrError(bytes.subarray(0, length));
      }),
      { numRuns: 500 },
    );
  });

  it('a conformance model with changed header bytes gives a header or a WeightFileError', () => {
    const real = new Uint8Array(readFileSync(FIXTURE));
    const end = 8 + headerLength('a', real.subarray(0, 8), real.length);
    fc.assert(
      fc.property(fc.nat(end - 1), fc.nat(255), (at, value) => {
        const bytes = real.slice();
        bytes[at] = value;
        expectHeaderOrError(bytes);
      }),
    );
  });
});
