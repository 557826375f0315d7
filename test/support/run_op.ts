import type { Device } from '../../src/gpu/device.ts';
import { Recorder } from '../../src/gpu/recorder.ts';
import { readBuffer } from '../../src/gpu/readback.ts';
import { StateBuffer } from '../../src/gpu/state_buffer.ts';
import {
  COUNT_NAMES,
  NO_COUNTS,
  type Counts,
  type DeviceTensor,
  type Tensor,
} from '../../src/gpu/tensor.ts';

/** What uninitialized memory is filled with in tests: large, so that any use of it shows. */
export const POISON = 1e30;

type Numbers = Uint8Array | Float32Array | Uint32Array | Int32Array | Uint16Array;

/** Uploads numbers to a buffer of their own, followed by `POISON` up to the end of the allocation. */
export function upload(
  device: Device,
  dtype: DeviceTensor['dtype'],
  shape: readonly number[],
  values: Numbers,
): DeviceTensor {
  const bytes = new Uint8Array(Math.ceil((values.byteLength + 256) / 4) * 4);
  new Float32Array(bytes.buffer).fill(POISON);
  bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  const buffer = device.createBuffer('state', 'test input', bytes.byteLength);
  device.gpu.queue.writeBuffer(buffer, 0, bytes);
  const sizeBytes = Math.ceil(values.byteLength / 4) * 4;
  return { dtype, shape, sizeBytes, memory: { kind: 'buffer', buffer, offset: 0 } };
}

/** Counts of a step, those not given being 0. */
export function countsOf(counts: Partial<Counts>): Counts {
  return { ...NO_COUNTS, ...counts };
}

/** Bytes of one output of an operation, as numbers. */
export interface OpResult {
  readonly f32: Float32Array;
  readonly u32: Uint32Array;
}

/**
 * Records `op`, runs it once on the device, and reads back every tensor it returns.
 *
 * @param counts - numbers of the step that symbolic extents refer to
 */
export async function runOp<K extends string>(
  device: Device,
  counts: Partial<Counts>,
  op: (recorder: Recorder) => Readonly<Record<K, Tensor>>,
): Promise<Readonly<Record<K, OpResult>>> {
  const all = countsOf(counts);
  const state = new StateBuffer(device, { counts: { dtype: 'u32', shape: [8] } });
  state.regions.counts.words.set(COUNT_NAMES.map((name) => all[name]));
  state.upload('counts', 8);

  const recorder = new Recorder(device, state.regions.counts.tensor);
  const outputs = op(recorder);
  for (const [name, tensor] of Object.entries<Tensor>(outputs)) recorder.keep(name, tensor);
  const recording = await recorder.finish();

  const encoder = device.gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  recording.replay(pass, all);
  pass.end();
  device.gpu.queue.submit([encoder.finish()]);

  const results = {} as Record<K, OpResult>;
  for (const [name, tensor] of Object.entries<Tensor>(outputs)) {
    const range = recording.kept(name);
    if (range === undefined) throw new Error(`${name} was not kept`);
    const bytes = await readBuffer(device, { ...range, size: tensor.sizeBytes });
    results[name as K] = { f32: new Float32Array(bytes), u32: new Uint32Array(bytes) };
  }
  state.dispose();
  await device.settled();
  return results;
}

/** Largest |actual − expected| over the largest |expected|. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) {
    throw new Error(`${actual.length} values, expected ${expected.length}`);
  }
  let error = 0;
  let largest = 1e-30;
  for (let i = 0; i < expected.length; i += 1) {
    const want = expected[i] ?? Number.NaN;
    const difference = Math.abs((actual[i] ?? Number.NaN) - want);
    // A NaN must not slip through a comparison that is false for it.
    error = difference <= error ? error : difference;
    largest = Math.max(largest, Math.abs(want));
  }
  return error / largest;
}

/** Deterministic numbers in [-1, 1). */
export function random(length: number, seed: number): Float32Array {
  let state = seed >>> 0 || 1;
  return Float32Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 31 - 1;
  });
}
