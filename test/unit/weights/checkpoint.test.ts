import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openDirectory } from '../../../src/node/directory.ts';
import { WeightFileError } from '../../../src/util/errors.ts';
import { openCheckpoint } from '../../../src/weights/checkpoint.ts';
import { memorySource } from '../../support/memory_source.ts';
import { countingBytes, safetensorsFile } from '../../support/safetensors_file.ts';

const CONFORMANCE = fileURLToPath(new URL('../../fixtures/conformance', import.meta.url));
const INDEX = 'model.safetensors.index.json';

const one = safetensorsFile({ a: { dtype: 'F32', shape: [2], bytes: countingBytes(8) } });
const two = safetensorsFile({
  b: { dtype: 'F16', shape: [3], bytes: countingBytes(6) },
  c: { dtype: 'U8', shape: [1], bytes: countingBytes(1) },
});
const indexOf = (weightMap: Readonly<Record<string, string>>): string =>
  JSON.stringify({ weight_map: weightMap });

describe('openCheckpoint', () => {
  it('opens a single file', async () => {
    const { tensors, files, totalBytes } = await openCheckpoint(
      memorySource({ 'model.safetensors': one }),
    );
    expect(tensors.get('a')).toMatchObject({ dtype: 'F32', shape: [2], end: one.length });
    expect(files).toHaveLength(1);
    expect(totalBytes).toBe(8);
  });

  it('opens the shards of an index, and only its tensors', async () => {
    const { tensors, files, totalBytes } = await openCheckpoint(
      memorySource({
        '1.safetensors': one,
        '2.safetensors': two,
        [INDEX]: indexOf({ b: '2.safetensors', a: '1.safetensors' }),
      }),
    );
    expect([...tensors.keys()]).toEqual(['b', 'a']);
    expect(tensors.get('b')?.file.name).toBe('2.safetensors');
    expect(files.map(({ name }) => name)).toEqual(['1.safetensors', '2.safetensors']);
    expect(totalBytes).toBe(14);
  });

  it('opens real repositories from the file system', async () => {
    const sharded = await openCheckpoint(openDirectory(`${CONFORMANCE}/llama-f16-sharded`));
    expect(sharded.totalBytes).toBe(148096);
    expect(sharded.files).toHaveLength(3);
    const single = await openCheckpoint(openDirectory(`${CONFORMANCE}/llama-bf16`));
    expect([...single.tensors.keys()].sort()).toEqual([...sharded.tensors.keys()].sort());
  });

  it.each([
    [{}, 'test model: found neither, expected model.safetensors or'],
    [{ 'pytorch_model.bin': 'PK' }, 'found only pytorch_model.bin, expected model.safetensors'],
    [{ 'onnx/model.onnx': 'x' }, 'found only onnx/model.onnx'],
    [{ 'model.safetensors': 'abc' }, 'model.safetensors: the file has 3 bytes'],
    [{ 'model.safetensors': one.subarray(0, 40) }, 'is larger than the file (40 bytes)'],
    [{ 'model.safetensors': one.subarray(0, -1) }, 'tensor "a": data_offsets [0, 8] reach past'],
    [{ [INDEX]: '{' }, `${INDEX}: the index is not JSON`],
    [{ [INDEX]: indexOf({ a: '1.safetensors' }) }, 'the shard 1.safetensors is missing from test'],
    [
      { [INDEX]: indexOf({ b: '1.safetensors' }), '1.safetensors': one },
      'tensor "b" should be in 1.safetensors, which does not hold it',
    ],
    [{ [INDEX]: indexOf({ a: '1.safetensors' }), '1.safetensors': '<html>..' }, 'HTML'],
  ])('case %#: %s', async (files: Readonly<Record<string, Uint8Array | string>>, message) => {
    const failure = openCheckpoint(memorySource(files));
    await expect(failure).rejects.toThrow(WeightFileError);
    await expect(failure).rejects.toThrow(message);
  });

  it('says which weights a folder holds instead', async () => {
    const source = { ...memorySource({}), list: async () => ['config.json', 'llama.Q4_K.gguf'] };
    await expect(openCheckpoint(source)).rejects.toThrow('found only llama.Q4_K.gguf, expected');
  });

  it('rejects with the reason of an abort', async () => {
    const reason = new Error('enough');
    const source = memorySource({ 'model.safetensors': one });
    await expect(openCheckpoint(source, AbortSignal.abort(reason))).rejects.toBe(reason);
    const controller = new AbortController();
    const opening = openCheckpoint(source, controller.signal);
    controller.abort(reason);
    await expect(opening).rejects.toBe(reason);
  });
});
