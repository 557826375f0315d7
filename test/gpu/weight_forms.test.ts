import { describe, expect, it, vi } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import { readBuffer } from '../../src/gpu/readback.ts';
import type { DeviceTensor } from '../../src/gpu/tensor.ts';
import { QUANT_GROUP, type Matrix, type MatrixShard } from '../../src/kernels/matrix.ts';
import { openCheckpoint } from '../../src/weights/checkpoint.ts';
import type { WeightChoice } from '../../src/weights/forms.ts';
import { WeightLoader } from '../../src/weights/loader.ts';
import { WeightScope } from '../../src/weights/scope.ts';
import { memorySource } from '../support/memory_source.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';
import { dequantize, quantizationErrors } from '../support/reference_quantizer.ts';
import { random } from '../support/run_op.ts';
import { safetensorsFile } from '../support/safetensors_file.ts';
import { encodeWeights, fromF16 } from '../support/weights.ts';

vi.mock(import('../../src/weights/forms.ts'), async (importOriginal) => {
  const { inAnySize } = await import('../support/any_size.ts');
  return inAnySize(await importOriginal());
});

const FORMS = { F32: 'f32', F16: 'f16', BF16: 'bf16' } as const;
type Dtype = keyof typeof FORMS;

/** A tensor [rows, cols], with the values that its dtype holds. */
function tensorOf(dtype: Dtype, rows: number, cols: number, values: Float32Array) {
  const { bytes, exact } = encodeWeights(FORMS[dtype], values);
  return { dtype, shape: [rows, cols], bytes, exact };
}

type Parts = Readonly<Record<string, ReturnType<typeof tensorOf>>>;

interface HowToLoad {
  readonly chunkBytes?: number;
  /** Largest binding, to have the matrix cut into shards. */
  readonly binding?: number;
}

/** Loads tensors, stacked into one matrix, in a form. */
async function load(
  device: Device,
  parts: Parts,
  cols: number,
  choice: WeightChoice,
  { chunkBytes, binding }: HowToLoad = {},
): Promise<Matrix> {
  const file = safetensorsFile(parts);
  const checkpoint = await openCheckpoint(memorySource({ 'model.safetensors': file }));
  const { limits } = device.facts;
  const maxStorageBufferBindingSize = binding ?? limits.maxStorageBufferBindingSize;
  const memory = {
    facts: { limits: { ...limits, maxStorageBufferBindingSize } },
    createTensor: device.createTensor.bind(device),
  };
  const loader = new WeightLoader(memory, checkpoint, choice);
  const rows = Object.entries(parts).map(([name, { shape }]) => [name, shape[0] ?? 0] as const);
  const matrix = new WeightScope(loader).matrix(Object.fromEntries(rows), cols);
  await loader.upload(device, chunkBytes === undefined ? {} : { chunkBytes });
  return matrix;
}

async function bytesOf(device: Device, tensor: DeviceTensor): Promise<ArrayBuffer> {
  const { memory, sizeBytes } = tensor;
  if (memory.kind !== 'buffer') throw new Error('a weight is not in a buffer of its own');
  const { buffer, offset } = memory;
  return readBuffer(device, { buffer, offset, size: sizeBytes });
}

function allValues(parts: Parts): Float32Array {
  return Float32Array.from(Object.values(parts).flatMap(({ exact }) => [...exact]));
}

/** What a quantized matrix stands for. */
async function quantizedValues(device: Device, { form, shards }: Matrix): Promise<Float64Array> {
  const read = async ({ tensor, scales, rows }: MatrixShard): Promise<Float64Array> => {
    if (scales === undefined || (form !== 'q8' && form !== 'q4')) throw new Error('not quantized');
    const words = new Uint32Array(await bytesOf(device, tensor));
    const groups = rows * Number(scales.shape[1]);
    const halves = new Uint16Array(await bytesOf(device, scales)).subarray(0, groups);
    return dequantize(form, words, halves);
  };
  const values: number[] = [];
  for (const shard of shards) values.push(...(await read(shard)));
  return Float64Array.from(values);
}

/** Expects the error to be that of the reference, but for what f32 rounds to the other side. */
async function expectLeastError(device: Device, parts: Parts, matrix: Matrix): Promise<void> {
  const { form } = matrix;
  if (form !== 'q8' && form !== 'q4') throw new Error(`the matrix is ${form}`);
  const weights = allValues(parts);
  const values = await quantizedValues(device, matrix);
  const wanted = quantizationErrors(form, weights);
  expect(values).toHaveLength(weights.length);
  const ofGroup = (group: number, of: (i: number) => number): number => {
    let sum = 0;
    for (let i = group * QUANT_GROUP; i < (group + 1) * QUANT_GROUP; i += 1) sum += of(i);
    return sum;
  };
  let [total, least] = [0, 0];
  for (const [group, best] of wanted.entries()) {
    const error = ofGroup(group, (i) => ((weights[i] ?? NaN) - (values[i] ?? NaN)) ** 2);
    // Where nothing is lost but the digits of f32, there is no least error to be near.
    const digits = 1e-12 * ofGroup(group, (i) => (weights[i] ?? NaN) ** 2);
    expect(error, `group ${group} of ${form}`).toBeLessThanOrEqual(1.1 * best + digits);
    total += error - digits;
    least += best;
  }
  expect(total).toBeLessThanOrEqual(1.001 * least);
}

/** About normal: the sum of four even numbers. */
function normal(length: number, seed: number): Float32Array {
  const four = random(4 * length, seed);
  return Float32Array.from({ length }, (_, i) =>
    four.subarray(4 * i, 4 * i + 4).reduce((sum, value) => sum + 0.02 * value, 0),
  );
}

/** Groups that a search for scales may stumble over. */
function oddGroups(): Float32Array {
  const ramp = Float32Array.from({ length: QUANT_GROUP }, (_, i) => i / 31 - 0.4);
  const times = (factor: number): Float32Array => ramp.map((value) => factor * value);
  return Float32Array.from([
    ...times(0),
    ...times(1),
    ...times(3e5), // larger than f16, with a scale that is not
    ...times(1e-3), // the scale of q8 is subnormal
    ...times(2e-6), // that of q4, too
    ...times(3e-8), // half of the smallest f16
    ...times(1e-20),
    ...times(0).fill(-0.37),
    ...times(0).with(17, 5),
    ...times(1e-3).with(3, -40),
    ...times(0).map((_, i) => (i % 2 === 0 ? 1 : -1)),
    ...times(-1),
  ]);
}

describeOnAdapters('forms of weights', (open) => {
  describe.each(['q8', 'q4'] as const)('%s', (form) => {
    it('loses the least that scales can', async () => {
      const device = await open();
      const values = oddGroups();
      const parts = { odd: tensorOf('F32', values.length / 64, 64, values) };
      await expectLeastError(device, parts, await load(device, parts, 64, form));
    });

    it('of tensors of all types, in pieces, over several shards', async () => {
      const device = await open();
      const cols = 96;
      const parts = {
        a: tensorOf('F32', 5, cols, normal(5 * cols, 1)),
        b: tensorOf('BF16', 1, cols, normal(cols, 2)),
        c: tensorOf('F16', 7, cols, normal(7 * cols, 3)),
      };
      const rowBytes = form === 'q8' ? cols + 6 : cols / 2 + 6;
      const how = { chunkBytes: 100, binding: 5 * rowBytes };
      const matrix = await load(device, parts, cols, form, how);
      expect(matrix.shards.map(({ firstRow, rows }) => [firstRow, rows])).toEqual([
        [0, 4],
        [4, 4],
        [8, 4],
        [12, 1],
      ]);
      await expectLeastError(device, parts, matrix);
    });
  });

  it('rounds to f16 to the nearest, ties to even, subnormals too', async () => {
    const device = await open();
    const ties = [1 + 2 ** -11, 1 + 3 * 2 ** -11, 2 ** -25, 3 * 2 ** -25, 2 ** -24, 1e-6, 2 ** -14];
    const values = Float32Array.from([...ties, -65504, 0, -0, ...random(95, 4)]);
    const parts = {
      a: tensorOf('F32', 1, 34, values.subarray(0, 34)),
      b: tensorOf('BF16', 1, 34, values.subarray(34, 68)),
      c: tensorOf('F16', 1, 34, values.subarray(68, 102)),
    };
    const { form, shards } = await load(device, parts, 34, 'f16', { chunkBytes: 12 });
    expect([form, shards.length]).toEqual(['f16', 1]);
    const stored = await Promise.all(shards.map(({ tensor }) => bytesOf(device, tensor)));
    const halves = stored.flatMap((bytes) => [...new Uint16Array(bytes)]);
    const { exact } = encodeWeights('f16', allValues(parts));
    expect(halves.map(fromF16)).toEqual([...exact]);
  });

  it('rounds an odd number of elements', async () => {
    const device = await open();
    const parts = { a: tensorOf('F32', 3, 7, random(21, 5)) };
    const { shards } = await load(device, parts, 7, 'f16', { chunkBytes: 16 });
    const [bytes = new ArrayBuffer()] = await Promise.all(
      shards.map(({ tensor }) => bytesOf(device, tensor)),
    );
    const { exact } = encodeWeights('f16', allValues(parts));
    expect(Array.from(new Uint16Array(bytes).subarray(0, 21), fromF16)).toEqual([...exact]);
  });

  it.each([
    ['f16', 65520],
    ['f16', Infinity],
    ['f16', NaN],
    ['q8', -Infinity],
    ['q4', NaN],
    ['q4', 1e9],
  ] as const)('names the tensor that %s cannot hold for its %d', async (form, value) => {
    const device = await open();
    const fine = { dtype: 'F32', shape: [1, 32], bytes: new Uint8Array(128) } as const;
    const numbers = new Float32Array(32).with(9, value);
    const bad = { ...fine, bytes: new Uint8Array(numbers.buffer) };
    const exact = numbers;
    const before = device.memory.report().state;
    await expect(
      load(
        device,
        { fine: { ...fine, shape: [1, 32], exact }, bad: { ...bad, shape: [1, 32], exact } },
        32,
        form,
      ),
    ).rejects.toThrow(/model\.safetensors: tensor bad has a value that is not finite or too large/);
    expect(device.memory.report().state).toBe(before);
  });
});
