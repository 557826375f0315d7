import { expect, it } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import { readBuffer } from '../../src/gpu/readback.ts';
import type { DeviceTensor } from '../../src/gpu/tensor.ts';
import { openCheckpoint } from '../../src/weights/checkpoint.ts';
import { WeightLoader } from '../../src/weights/loader.ts';
import { WeightScope } from '../../src/weights/scope.ts';
import { memorySource } from '../support/memory_source.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { random } from '../support/run_op.ts';
import { safetensorsFile } from '../support/safetensors_file.ts';
import { encodeWeights } from '../support/weights.ts';

const [ROWS, COLS] = [7, 5];
const DTYPES = { F32: 'f32', F16: 'f16', BF16: 'bf16' } as const;

async function numbersIn(device: Device, { memory, sizeBytes }: DeviceTensor) {
  if (memory.kind !== 'buffer') throw new Error('a weight is not in a buffer of its own');
  const { buffer, offset } = memory;
  return [...new Float32Array(await readBuffer(device, { buffer, offset, size: sizeBytes }))];
}

/**
 * A checkpoint with a table `m.table` [ROWS, COLS], the same numbers as `m.kernel` [1, ROWS, COLS], and vectors
 * `m.flat` [COLS] and `m.row` [1, COLS].
 */
async function loaderOf(device: Device, dtype: keyof typeof DTYPES) {
  const table = encodeWeights(DTYPES[dtype], random(ROWS * COLS, 1));
  const vector = encodeWeights(DTYPES[dtype], random(COLS, 2));
  const file = safetensorsFile({
    'm.table': { dtype, shape: [ROWS, COLS], bytes: table.bytes },
    'm.kernel': { dtype, shape: [1, ROWS, COLS], bytes: table.bytes },
    'm.flat': { dtype, shape: [COLS], bytes: vector.bytes },
    'm.row': { dtype, shape: [1, COLS], bytes: vector.bytes },
  });
  const checkpoint = await openCheckpoint(memorySource({ 'model.safetensors': file }));
  const loader = new WeightLoader(device, checkpoint);
  const w = new WeightScope(loader).at('m');
  return { loader, w, table: table.exact, vector: [...vector.exact] };
}

describeOnAdapters('weights', (open) => {
  it.each([
    { dtype: 'F32', chunkBytes: 4 },
    { dtype: 'F16', chunkBytes: 12 },
    { dtype: 'BF16', chunkBytes: 1024 },
  ] as const)('rows of a $dtype table, read by $chunkBytes', async ({ dtype, chunkBytes }) => {
    const device = await open();
    const { loader, w, table } = await loaderOf(device, dtype);
    const rowOf = Uint32Array.of(6, 6, 0, 3, 3, 3, 1, 6);
    const rows = w.rowTable('table', ROWS, COLS, rowOf);
    expect(rows).toMatchObject({ dtype: 'f32', shape: [8, COLS] });
    await loader.upload(device, { chunkBytes });
    const expected = [...rowOf].flatMap((row) => [...table.subarray(row * COLS, (row + 1) * COLS)]);
    expect(await numbersIn(device, rows)).toEqual(expected);
  });

  it('vectors stored with one axis, or with a first axis of 1', async () => {
    const device = await open();
    const { loader, w, vector } = await loaderOf(device, 'F16');
    const both = w.vector({ row: COLS, flat: COLS });
    const one = w.vector({ row: COLS });
    await loader.upload(device);
    expect(await numbersIn(device, both)).toEqual([...vector, ...vector]);
    expect(await numbersIn(device, one)).toEqual(vector);
  });

  it('a matrix whose rows have several axes in the file', async () => {
    const device = await open();
    const { loader, w, table } = await loaderOf(device, 'F32');
    const { shards, ...matrix } = w.matrix({ kernel: 1 }, ROWS * COLS);
    expect(matrix).toEqual({ rows: 1, cols: ROWS * COLS, form: 'f32' });
    await loader.upload(device);
    const stored = await Promise.all(shards.map(({ tensor }) => numbersIn(device, tensor)));
    expect(stored.flat()).toEqual([...table]);
    expect(() => w.matrix({ kernel: 1 }, 34)).toThrow('has shape [1, 7, 5], expected [1, 34]');
    expect(() => w.matrix({ kernel: 7 }, COLS)).toThrow('has shape [1, 7, 5], expected [7, 5]');
  });

  it('a matrix that is in no file, of a part of a larger array', async () => {
    const device = await open();
    const { loader, w } = await loaderOf(device, 'F32');
    const values = random(ROWS * COLS + 3, 3).subarray(3);
    const { shards, ...matrix } = w.computed('positions', ROWS, COLS, values);
    expect(matrix).toEqual({ rows: ROWS, cols: COLS, form: 'f32' });
    await loader.upload(device);
    const stored = await Promise.all(shards.map(({ tensor }) => numbersIn(device, tensor)));
    expect(stored.flat()).toEqual([...values]);
  });

  it('names what does not fit', async () => {
    const device = await open();
    const { w } = await loaderOf(device, 'F32');
    expect(() => w.vector({ row: 4 })).toThrow('tensor m.row has shape [1, 5], expected [4]');
    expect(() => w.vector({ table: 35 })).toThrow('has shape [7, 5], expected [35]');
    expect(() => w.rowTable('flat', ROWS, COLS, Uint32Array.of(0))).toThrow(
      'tensor m.flat has shape [5], expected [7, 5]',
    );
    expect(() => w.rowTable('table', ROWS, COLS, Uint32Array.of(0, 7))).toThrow(
      'rowTable: row 7 of m.table, expected one of its 7 rows',
    );
  });
});
