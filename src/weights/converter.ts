import type { Device } from '../gpu/device.ts';
import { readBuffer } from '../gpu/readback.ts';
import { Recorder } from '../gpu/recorder.ts';
import { StateBuffer } from '../gpu/state_buffer.ts';
import { COUNT_NAMES, NO_COUNTS, type DeviceTensor } from '../gpu/tensor.ts';
import {
  CONVERT_ORDER_WORDS,
  convertWeights,
  encodeConvertOrder,
  UNIT_ELEMENTS,
  type ConvertedForm,
} from '../kernels/convert_weights.ts';
import type { Matrix, MatrixShard } from '../kernels/matrix.ts';
import { WeightFileError } from '../util/errors.ts';
import type { TensorEntry } from './checkpoint.ts';
import { ELEMENT_BYTES, storedForm, type StoredForm } from './stored.ts';
import type { TensorRead } from './stream.ts';
import { wholeWords } from './write_bytes.ts';

/** Bytes of a file that are converted at a time. */
const SLICE_BYTES = 8 * 2 ** 20;
/** Room for less than a unit of the slice before. */
const REST_BYTES = 256;

/** A matrix in a form that its tensors are converted to. */
export type ConvertedMatrix = Pick<Matrix, 'cols' | 'shards'> & { readonly form: ConvertedForm };

/**
 * Converts the bytes of tensors on the GPU: they pass through one staging buffer, and what does not fill a unit waits for
 * the next bytes of its tensor.
 */
export class WeightConverter {
  readonly #device: Device;
  readonly #staging: GPUBuffer;
  readonly #state: StateBuffer<'counts' | 'order'>;
  readonly #fault: DeviceTensor;
  readonly #entries: TensorEntry[] = [];

  constructor(device: Device) {
    this.#device = device;
    this.#staging = device.createBuffer('state', 'weights to convert', SLICE_BYTES + REST_BYTES);
    this.#state = new StateBuffer(device, {
      counts: { dtype: 'u32', shape: [COUNT_NAMES.length] },
      order: { dtype: 'u32', shape: [CONVERT_ORDER_WORDS] },
    });
    this.#fault = device.createTensor('state', 'weights that cannot be converted', 'u32', [1]);
  }

  /**
   * Takes the bytes of a tensor.
   *
   * @param firstElement - of the tensor in its matrix; begins a unit
   */
  take(entry: TensorEntry, matrix: ConvertedMatrix, firstElement: number): TensorRead['onBytes'] {
    const stored = storedForm(entry);
    const tensor = this.#entries.push(entry) - 1;
    const unitBytes = UNIT_ELEMENTS[matrix.form] * ELEMENT_BYTES[stored];
    let unit = firstElement / UNIT_ELEMENTS[matrix.form];
    let rest = new Uint8Array();
    const takeSlice = async (slice: Uint8Array<ArrayBuffer>, isLast: boolean): Promise<void> => {
      const sizeBytes = rest.length + slice.length;
      const units = isLast ? Math.ceil(sizeBytes / unitBytes) : Math.floor(sizeBytes / unitBytes);
      if (units === 0) {
        rest = joined(rest, slice);
        return;
      }
      const { queue } = this.#device.gpu;
      queue.writeBuffer(this.#staging, 0, rest);
      queue.writeBuffer(this.#staging, rest.length, slice);
      // Only the last of f16 elements may lack its neighbour; what the slice before left there is not to be taken for it.
      const lack = units * unitBytes - sizeBytes;
      if (lack > 0) queue.writeBuffer(this.#staging, sizeBytes, new Uint8Array(lack));
      await this.#convert(stored, matrix, { tensor, unit, units });
      unit += units;
      rest = slice.slice(slice.length - Math.max(0, -lack));
    };
    return async (offset, bytes) => {
      for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
        const slice = bytes.subarray(at, at + SLICE_BYTES);
        const end = offset + at + slice.length;
        await takeSlice(wholeWords(slice), end === entry.end - entry.begin);
      }
    };
  }

  /** @throws {WeightFileError} if a tensor had a value that its form cannot hold */
  async check(): Promise<void> {
    const { memory, sizeBytes } = this.#fault;
    if (memory.kind !== 'buffer') return;
    const { buffer, offset } = memory;
    const bytes = await readBuffer(this.#device, { buffer, offset, size: sizeBytes });
    const [fault = 0] = new Uint32Array(bytes);
    const entry = this.#entries[fault - 1];
    if (entry === undefined) return;
    throw new WeightFileError(
      entry.file.name,
      `tensor ${entry.name} has a value that is not finite or too large for f16, expected other numbers; load it with weights: 'f32'`,
      { tensor: entry.name },
    );
  }

  /** Frees the buffers; what was submitted still runs. */
  dispose(): void {
    this.#device.destroyBuffer(this.#staging);
    this.#state.dispose();
    if (this.#fault.memory.kind === 'buffer') this.#device.destroyBuffer(this.#fault.memory.buffer);
  }

  /** Converts units at the beginning of the staging buffer, which may belong to several shards. */
  async #convert(
    stored: StoredForm,
    { cols, form, shards }: ConvertedMatrix,
    {
      tensor,
      unit,
      units,
    }: { readonly tensor: number; readonly unit: number; readonly units: number },
  ): Promise<void> {
    const perUnit = UNIT_ELEMENTS[form];
    for (const shard of shards) {
      const first = (shard.firstRow * cols) / perUnit;
      const begin = Math.max(unit, first);
      const end = Math.min(unit + units, first + Math.ceil((shard.rows * cols) / perUnit));
      if (begin >= end) continue;
      const order = { units: end - begin, from: begin - unit, to: begin - first, tensor };
      encodeConvertOrder(this.#state.regions.order.words, order);
      await this.#submit(stored, form, units, shard);
    }
  }

  async #submit(
    stored: StoredForm,
    form: ConvertedForm,
    units: number,
    shard: MatrixShard,
  ): Promise<void> {
    const { gpu } = this.#device;
    const { counts, order } = this.#state.regions;
    const elements = units * UNIT_ELEMENTS[form];
    const source: DeviceTensor = {
      dtype: stored,
      shape: [elements],
      sizeBytes: elements * ELEMENT_BYTES[stored],
      memory: { kind: 'buffer', buffer: this.#staging, offset: 0 },
    };
    const recorder = new Recorder(this.#device, counts.tensor);
    const memory = { order: order.tensor, source, fault: this.#fault };
    convertWeights(recorder, form, memory, units, shard);
    const recording = await recorder.finish();
    this.#state.upload('order', CONVERT_ORDER_WORDS);
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    recording.replay(pass, NO_COUNTS);
    pass.end();
    gpu.queue.submit([encoder.finish()]);
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
