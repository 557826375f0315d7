import type { Device } from '../gpu/device.ts';
import { workDone } from '../gpu/prompt.ts';
import type { DeviceTensor } from '../gpu/tensor.ts';
import { matrixBytes, type Matrix, type WeightForm } from '../kernels/matrix.ts';
import { ShapeError } from '../util/errors.ts';
import { allocateMatrix, type WeightMemory } from './allocate.ts';
import type { Checkpoint, TensorEntry } from './checkpoint.ts';
import { WeightConverter } from './converter.ts';
import { toFloat32 } from './format/float.ts';
import { formOf, type FormSize, type MatrixRole, type WeightChoice } from './forms.ts';
import type { NamedPart, WeightStore } from './scope.ts';
import {
  areAligned,
  ELEMENT_BYTES,
  findTensor,
  floatDtype,
  stackedForm,
  storedForm,
  unflattened,
} from './stored.ts';
import { streamTensors, type StreamOptions, type TensorRead } from './stream.ts';
import { writeBytes } from './write_bytes.ts';

/** Bytes written between waits for the GPU, so that its staging memory stays bounded. */
const WRITE_WINDOW = 32 * 2 ** 20;

/** A tensor to read, and what takes its bytes on a certain device. */
interface Plan {
  readonly entry: TensorEntry;
  readonly takes: (device: Device, converter: () => WeightConverter) => TensorRead['onBytes'];
}

/**
 * Puts the tensors a model asks for into GPU memory. Asking reserves memory and checks shape and dtype against the
 * file's header; {@link upload} then streams the bytes of all of them in bounded chunks.
 */
export class WeightLoader implements WeightStore {
  readonly #memory: WeightMemory;
  readonly #checkpoint: Checkpoint;
  readonly #choice: WeightChoice;
  readonly #plans: Plan[] = [];
  readonly #computed: ((device: Device) => void)[] = [];
  readonly #sizes = new Map<WeightForm, FormSize>();
  #small = 0;

  /**
   * @param memory - the device that {@link upload} is for, or what counts memory in its place
   * @param choice - what matrices are stored in
   */
  constructor(memory: WeightMemory, checkpoint: Checkpoint, choice: WeightChoice = 'stored') {
    this.#memory = memory;
    this.#checkpoint = checkpoint;
    this.#choice = choice;
  }

  /** The matrices asked for so far that are in the files, by form. */
  get sizes(): ReadonlyMap<WeightForm, FormSize> {
    return this.#sizes;
  }

  /** How many of them have 8 bits instead of 4 for nothing but their size. */
  get small(): number {
    return this.#small;
  }

  has(name: string): boolean {
    return this.#checkpoint.tensors.has(name);
  }

  matrix(parts: readonly NamedPart[], cols: number, role: MatrixRole): Matrix {
    const entries = parts.map(({ name, rows }) =>
      findTensor(
        this.#checkpoint,
        name,
        [rows, cols],
        ...unflattened(this.#checkpoint, name, rows, cols),
      ),
    );
    const stored = stackedForm(entries, cols);
    const rows = parts.reduce((sum, part) => sum + part.rows, 0);
    const wanted = formOf(this.#choice, role, stored, { rows, cols });
    if (this.#choice === 'q4' && wanted === 'q8' && role === 'inner') this.#small += 1;
    // Halves that begin within a word would have to be put together with their neighbours of another tensor.
    const form = wanted === 'f16' && !areAligned(entries, cols, 'f16') ? 'f32' : wanted;
    const matrix = this.#allocate(parts, rows, cols, form);
    const { count, bytes } = this.#sizes.get(form) ?? { count: 0, bytes: 0 };
    const sizeBytes = matrixBytes(form, rows, cols);
    this.#sizes.set(form, { count: count + 1, bytes: bytes + sizeBytes });
    let firstElement = 0;
    for (const entry of entries) {
      this.#plan(entry, matrix, firstElement);
      firstElement += (entry.shape[0] ?? 0) * cols;
    }
    return matrix;
  }

  vector(parts: readonly NamedPart[]): DeviceTensor {
    const entries = parts.map(({ name, rows }) =>
      findTensor(this.#checkpoint, name, [rows], [1, rows]),
    );
    const size = parts.reduce((sum, part) => sum + part.rows, 0);
    const tensor = this.#memory.createTensor('weights', nameOf(parts), 'f32', [size]);
    let firstElement = 0;
    for (const entry of entries) {
      this.#plan(entry, asColumn(tensor, size), firstElement);
      firstElement += entry.shape.at(-1) ?? 0;
    }
    return tensor;
  }

  rowTable({ name, rows }: NamedPart, cols: number, rowOf: Uint32Array): DeviceTensor {
    const entry = findTensor(this.#checkpoint, name, [rows, cols]);
    const absent = rowOf.find((row) => row >= rows);
    if (absent !== undefined) {
      throw new ShapeError(`rowTable: row ${absent} of ${name}, expected one of its ${rows} rows`);
    }
    const dtype = floatDtype(entry);
    const elementBytes = ELEMENT_BYTES[storedForm(entry)];
    const tensor = this.#memory.createTensor('weights', name, 'f32', [rowOf.length, cols]);
    const { shards } = asColumn(tensor, rowOf.length * cols);
    this.#plans.push({
      entry,
      takes: (device) => {
        const values = new Float32Array(rows * cols);
        return (offset, bytes) => {
          values.set(toFloat32(dtype, bytes), offset / elementBytes);
          if (offset + bytes.length < entry.end - entry.begin) return;
          const table = new Float32Array(rowOf.length * cols);
          rowOf.forEach((row, i) =>
            table.set(values.subarray(row * cols, (row + 1) * cols), i * cols),
          );
          writeBytes(device, 1, shards, 0, new Uint8Array(table.buffer));
        };
      },
    });
    return tensor;
  }

  computed(part: NamedPart, cols: number, values: Float32Array): Matrix {
    const matrix = this.#allocate([part], part.rows, cols, 'f32');
    const { buffer, byteOffset, byteLength } = values;
    this.#computed.push((device) => {
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      writeBytes(device, cols, matrix.shards, 0, bytes);
    });
    return matrix;
  }

  constant(name: string, values: Uint32Array): DeviceTensor {
    const tensor = this.#memory.createTensor('weights', name, 'u32', [values.length]);
    const { buffer, byteOffset, byteLength } = values;
    this.#computed.push((device) => {
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      writeBytes(device, 1, asColumn(tensor, values.length).shards, 0, bytes);
    });
    return tensor;
  }

  /**
   * Reads everything asked for and writes it to the device whose memory was reserved.
   *
   * @throws {WeightFileError} if a value cannot be converted to the form of its matrix
   * @throws {DownloadError} if a file cannot be read
   * @throws {OutOfMemoryError} if the GPU could not hold the weights
   * @throws `signal.reason` when aborted
   */
  async upload(device: Device, options: StreamOptions = {}): Promise<void> {
    await device.settled();
    for (const write of this.#computed) write(device);
    let converter: WeightConverter | undefined;
    const converterOf = (): WeightConverter => (converter ??= new WeightConverter(device));
    let writtenBytes = 0;
    const throttle = async (bytes: number): Promise<void> => {
      writtenBytes += bytes;
      if (writtenBytes < WRITE_WINDOW) return;
      writtenBytes = 0;
      await workDone(device.gpu.queue);
      device.throwIfFailed();
    };
    const reads = this.#plans.map(({ entry, takes }): TensorRead => {
      const take = takes(device, converterOf);
      return {
        entry,
        onBytes: async (offset, bytes) => {
          await take(offset, bytes);
          await throttle(bytes.length);
        },
      };
    });
    try {
      await streamTensors(reads, options);
      await converter?.check();
      await device.settled();
    } finally {
      converter?.dispose();
    }
  }

  #allocate(parts: readonly NamedPart[], rows: number, cols: number, form: WeightForm): Matrix {
    const shards = allocateMatrix(this.#memory, nameOf(parts), form, rows, cols);
    return { rows, cols, form, shards };
  }

  /** Has a tensor read into a matrix, where it begins at an element. */
  #plan(entry: TensorEntry, matrix: Matrix, firstElement: number): void {
    const { form, cols, shards } = matrix;
    const stored = storedForm(entry);
    if (form === stored || form === 'f32') {
      const dtype = floatDtype(entry);
      const growth = ELEMENT_BYTES[form] / ELEMENT_BYTES[stored];
      const firstByte = firstElement * ELEMENT_BYTES[form];
      this.#plans.push({
        entry,
        takes: (device) => (offset, bytes) => {
          const values = growth === 1 ? bytes : new Uint8Array(toFloat32(dtype, bytes).buffer);
          writeBytes(device, cols, shards, firstByte + offset * growth, values);
        },
      });
    } else if (form !== 'bf16') {
      this.#plans.push({
        entry,
        takes: (_, converter) => converter().take(entry, { form, cols, shards }, firstElement),
      });
    }
  }
}

function nameOf(parts: readonly NamedPart[]): string {
  return parts.map((part) => part.name).join(' + ');
}

/** A tensor of 32-bit elements as a matrix with one column. */
function asColumn(tensor: DeviceTensor, rows: number): Matrix {
  return { rows, cols: 1, form: 'f32', shards: [{ firstRow: 0, rows, tensor }] };
}
