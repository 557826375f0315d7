/** Quern's side: its own sources. @module */
import type { Device } from '../src/gpu/device.ts';
import type { DeviceTensor } from '../src/gpu/tensor.ts';
import { Tuner } from '../src/engine/tuner.ts';
import {
  QUANT_GROUP,
  type Matrix,
  type MatrixShard,
  type WeightForm,
} from '../src/kernels/matrix.ts';
import { ConfigReader } from '../src/models/config.ts';
import { DECODERS } from '../src/models/decoders.ts';
import { ENCODERS } from '../src/models/encoders.ts';
import type { ModelKind, Models } from '../src/models/family.ts';
import { familyOf, type Families } from '../src/models/kinds.ts';
import { WeightScope, type NamedPart, type WeightStore } from '../src/weights/scope.ts';
import { RandomMatrix, randomVector } from './random_weights.ts';

/** What matrices are stored in on both sides. */
export type Form = 'f32' | 'q4';

/**
 * Tries the kernels that recordings on the device have chosen among, as loading a model does.
 *
 * @returns whether anything is to be recorded anew
 */
export function tuneKernels(device: Device): Promise<boolean> {
  return new Tuner({ mode: 'auto' }).run(device);
}

/**
 * A network with random weights, put on the GPU.
 *
 * @param config - as config.json
 */
export async function loadDecoder(
  device: Device,
  config: object,
  form: Form,
): Promise<Models['decoder']> {
  return load(device, DECODERS, config, form);
}

export async function loadEncoder(device: Device, config: object): Promise<Models['encoder']> {
  return load(device, ENCODERS, config, 'f32');
}

async function load<K extends ModelKind>(
  device: Device,
  families: Families<K>,
  json: object,
  form: Form,
): Promise<Models[K]> {
  const config = new ConfigReader(json);
  const store = new RandomStore(device, form);
  const model = familyOf(config, families).load(config, new WeightScope(store));
  await device.settled();
  return model;
}

/** Gives a network {@link RandomMatrix} and {@link randomVector} by their names. */
export class RandomStore implements WeightStore {
  readonly #device: Device;
  readonly #form: Form;

  constructor(device: Device, form: Form) {
    this.#device = device;
    this.#form = form;
  }

  has(): boolean {
    return false;
  }

  matrix(parts: readonly NamedPart[], cols: number): Matrix {
    const form = this.#formOf(parts);
    const rows = parts.reduce((sum, part) => sum + part.rows, 0);
    const shards: MatrixShard[] = [];
    let firstRow = 0;
    for (const planes of this.#planes(parts, cols, form)) {
      shards.push({ firstRow, ...planes });
      firstRow += planes.rows;
    }
    return { rows, cols, form, shards };
  }

  vector(parts: readonly NamedPart[]): DeviceTensor {
    const values = parts.map(({ name, rows }) => randomVector(name, rows));
    const size = parts.reduce((sum, part) => sum + part.rows, 0);
    return this.#upload('f32', [size], values);
  }

  rowTable(): DeviceTensor {
    throw new RangeError('peers: none of the networks compared has a table of rows');
  }

  computed(): Matrix {
    throw new RangeError('peers: none of the networks compared has computed weights');
  }

  constant(): DeviceTensor {
    throw new RangeError('peers: none of the networks compared has constants');
  }

  /** Embeddings and heads have 8 bits where others have 4, as in a model that is loaded with `weights: 'q4'`. */
  #formOf(parts: readonly NamedPart[]): WeightForm {
    if (this.#form === 'f32') return 'f32';
    return parts.some(({ name }) => /embed|lm_head/.test(name)) ? 'q8' : 'q4';
  }

  *#planes(
    parts: readonly NamedPart[],
    cols: number,
    form: WeightForm,
  ): Iterable<Omit<MatrixShard, 'firstRow'>> {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.#device.facts.limits;
    const matrices = parts.map(({ name, rows }) => new RandomMatrix(name, rows, cols));
    const elements = matrices.map((matrix) => {
      if (form === 'f32') return matrix.floats();
      return form === 'q8' ? matrix.bytes() : matrix.words;
    });
    const rows = parts.reduce((sum, part) => sum + part.rows, 0);
    const rowBytes = elements.reduce((sum, { byteLength }) => sum + byteLength, 0) / rows;
    const most = Math.min(maxStorageBufferBindingSize, maxBufferSize);
    const perShard = Math.floor(most / rowBytes / 2) * 2;
    for (let first = 0; first < rows; first += perShard) {
      const count = Math.min(perShard, rows - first);
      const tensor = this.#uploadRows(form, count, cols, slice(elements, first, count, rowBytes));
      if (form === 'f32') {
        yield { rows: count, tensor };
        continue;
      }
      const scaleBytes = (2 * cols) / QUANT_GROUP;
      const planes = matrices.map(({ scales }) => scales);
      const scales = slice(planes, first, count, scaleBytes);
      yield {
        rows: count,
        tensor,
        scales: this.#upload('f16', [count, cols / QUANT_GROUP], scales),
      };
    }
  }

  #uploadRows(
    form: WeightForm,
    rows: number,
    cols: number,
    parts: readonly Uint8Array[],
  ): DeviceTensor {
    if (form === 'f32') return this.#upload('f32', [rows, cols], parts);
    return this.#upload('u32', [rows, form === 'q8' ? cols / 4 : cols / 8], parts);
  }

  #upload(
    dtype: 'f32' | 'f16' | 'u32',
    shape: readonly number[],
    parts: readonly ArrayBufferView[],
  ): DeviceTensor {
    const sizeBytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const bytes = new Uint8Array(Math.ceil(sizeBytes / 4) * 4);
    let at = 0;
    for (const { buffer, byteOffset, byteLength } of parts) {
      bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
      at += byteLength;
    }
    const tensor = this.#device.createTensor('weights', 'random weights', dtype, shape);
    const { memory } = tensor;
    if (memory.kind === 'buffer') this.#device.gpu.queue.writeBuffer(memory.buffer, 0, bytes);
    return tensor;
  }
}

/** `count` rows from `first` on, of matrices that follow each other. */
function slice(
  matrices: readonly ArrayBufferView[],
  first: number,
  count: number,
  rowBytes: number,
): readonly Uint8Array[] {
  let begin = first * rowBytes;
  let end = begin + count * rowBytes;
  return matrices.map(({ buffer, byteOffset, byteLength }) => {
    const from = Math.min(Math.max(begin, 0), byteLength);
    const to = Math.min(Math.max(end, 0), byteLength);
    begin -= byteLength;
    end -= byteLength;
    return new Uint8Array(buffer, byteOffset + from, to - from);
  });
}
