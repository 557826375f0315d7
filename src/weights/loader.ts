import type { Device } from '../gpu/device.ts';
import type { DeviceTensor } from '../gpu/tensor.ts';
import type { Matrix, MatrixShard } from '../kernels/matrix.ts';
import { DeviceLimitError, ShapeError, WeightFileError } from '../util/errors.ts';
import type { Checkpoint, TensorEntry } from './checkpoint.ts';
import { toFloat32, type FloatDtype } from './format/float.ts';
import type { NamedPart, WeightStore } from './scope.ts';
import { streamTensors, type StreamOptions, type TensorRead } from './stream.ts';

const STORAGE = { F32: 'f32', F16: 'f16', BF16: 'bf16' } as const;
const ELEMENT_BYTES = { f32: 4, f16: 2, bf16: 2 } as const;

/** Bytes written between waits for the GPU, so that its staging memory stays bounded. */
const WRITE_WINDOW = 32 * 2 ** 20;

/** Where the bytes of one checkpoint tensor go: rows of a matrix from `firstByte` on. */
interface Destination {
  readonly dtype: keyof typeof ELEMENT_BYTES;
  readonly shards: readonly { readonly tensor: DeviceTensor; readonly firstByte: number }[];
}

/**
 * Puts the tensors a model asks for into GPU memory. Asking reserves memory and checks shape and dtype against the
 * file's header; {@link upload} then streams the bytes of all of them in bounded chunks.
 */
export class WeightLoader implements WeightStore {
  readonly #device: Device;
  readonly #checkpoint: Checkpoint;
  readonly #reads: TensorRead[] = [];
  readonly #computed: (() => void)[] = [];
  #writtenBytes = 0;

  constructor(device: Device, checkpoint: Checkpoint) {
    this.#device = device;
    this.#checkpoint = checkpoint;
  }

  has(name: string): boolean {
    return this.#checkpoint.tensors.has(name);
  }

  matrix(parts: readonly NamedPart[], cols: number): Matrix {
    const entries = parts.map(({ name, rows }) =>
      this.#find(name, [rows, cols], ...this.#unflattened(name, rows, cols)),
    );
    const rows = parts.reduce((sum, part) => sum + part.rows, 0);
    const dtype = storageOf(entries, cols);
    const name = parts.map((part) => part.name).join(' + ');
    const shards = this.#allocate(name, dtype, rows, cols);

    let firstByte = 0;
    const rowBytes = cols * ELEMENT_BYTES[dtype];
    const places = shards.map(({ tensor, firstRow }) => ({
      tensor,
      firstByte: firstRow * rowBytes,
    }));
    for (const entry of entries) {
      this.#plan(entry, { dtype, shards: places }, firstByte);
      firstByte += (entry.shape[0] ?? 0) * rowBytes;
    }
    return { rows, cols, form: dtype, shards };
  }

  vector(parts: readonly NamedPart[]): DeviceTensor {
    const entries = parts.map(({ name, rows }) => this.#find(name, [rows], [1, rows]));
    const size = parts.reduce((sum, part) => sum + part.rows, 0);
    const name = parts.map((part) => part.name).join(' + ');
    const tensor = this.#device.createTensor('weights', name, 'f32', [size]);
    let firstByte = 0;
    for (const entry of entries) {
      this.#plan(entry, { dtype: 'f32', shards: [{ tensor, firstByte: 0 }] }, firstByte);
      firstByte += (entry.shape.at(-1) ?? 0) * ELEMENT_BYTES.f32;
    }
    return tensor;
  }

  rowTable({ name, rows }: NamedPart, cols: number, rowOf: Uint32Array): DeviceTensor {
    const entry = this.#find(name, [rows, cols]);
    const absent = rowOf.find((row) => row >= rows);
    if (absent !== undefined) {
      throw new ShapeError(`rowTable: row ${absent} of ${name}, expected one of its ${rows} rows`);
    }
    const stored = floatDtype(entry);
    const tensor = this.#device.createTensor('weights', name, 'f32', [rowOf.length, cols]);
    const values = new Float32Array(rows * cols);
    this.#reads.push({
      entry,
      onBytes: (offset, bytes) => {
        values.set(toFloat32(stored, bytes), offset / ELEMENT_BYTES[STORAGE[stored]]);
        if (offset + bytes.length < entry.end - entry.begin) return;
        const table = new Float32Array(rowOf.length * cols);
        rowOf.forEach((row, i) =>
          table.set(values.subarray(row * cols, (row + 1) * cols), i * cols),
        );
        const to: Destination = { dtype: 'f32', shards: [{ tensor, firstByte: 0 }] };
        this.#write(to, 0, new Uint8Array(table.buffer));
      },
    });
    return tensor;
  }

  computed({ name, rows }: NamedPart, cols: number, values: Float32Array): Matrix {
    const shards = this.#allocate(name, 'f32', rows, cols);
    const places = shards.map(({ tensor, firstRow }) => ({
      tensor,
      firstByte: firstRow * cols * ELEMENT_BYTES.f32,
    }));
    const { buffer, byteOffset, byteLength } = values;
    this.#computed.push(() => {
      this.#write({ shards: places }, 0, new Uint8Array(buffer, byteOffset, byteLength));
    });
    return { rows, cols, form: 'f32', shards };
  }

  constant(name: string, values: Uint32Array): DeviceTensor {
    const tensor = this.#device.createTensor('weights', name, 'u32', [values.length]);
    const { buffer, byteOffset, byteLength } = values;
    this.#computed.push(() => {
      const to = { shards: [{ tensor, firstByte: 0 }] };
      this.#write(to, 0, new Uint8Array(buffer, byteOffset, byteLength));
    });
    return tensor;
  }

  /**
   * Reads everything asked for and writes it to the GPU.
   *
   * @throws {DownloadError} if a file cannot be read
   * @throws {OutOfMemoryError} if the GPU could not hold the weights
   * @throws `signal.reason` when aborted
   */
  async upload(options: StreamOptions = {}): Promise<void> {
    await this.#device.settled();
    for (const write of this.#computed) write();
    await streamTensors(this.#reads, options);
    await this.#device.settled();
  }

  /** The shape [rows, a, b, …] a tensor is stored in, if its rows have `cols` elements nevertheless. */
  #unflattened(name: string, rows: number, cols: number): readonly (readonly number[])[] {
    const [, ...axes] = this.#checkpoint.tensors.get(name)?.shape ?? [];
    const isSame = axes.length > 1 && axes.reduce((product, n) => product * n, 1) === cols;
    return isSame ? [[rows, ...axes]] : [];
  }

  /** @param others - further shapes that will do */
  #find(
    name: string,
    shape: readonly number[],
    ...others: readonly (readonly number[])[]
  ): TensorEntry {
    const entry = this.#checkpoint.tensors.get(name);
    if (entry === undefined) {
      const files = this.#checkpoint.files.map((file) => file.name).join(', ');
      throw new WeightFileError(
        files,
        `tensor ${name} is missing, expected [${shape.join(', ')}]; config.json describes another model, or the file is incomplete`,
        { tensor: name },
      );
    }
    const found = entry.shape.join(', ');
    if (![shape, ...others].some((expected) => expected.join(', ') === found)) {
      throw new WeightFileError(
        entry.file.name,
        `tensor ${name} has shape [${found}], expected [${shape.join(', ')}]`,
        { tensor: name },
      );
    }
    return entry;
  }

  /** Memory for a matrix, cut between rows where it is larger than a binding may be. */
  #allocate(
    name: string,
    dtype: keyof typeof ELEMENT_BYTES,
    rows: number,
    cols: number,
  ): readonly MatrixShard[] {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.#device.facts.limits;
    const most = Math.min(maxStorageBufferBindingSize, maxBufferSize);
    const rowBytes = cols * ELEMENT_BYTES[dtype];
    // An even number of rows, so that every shard starts on a whole 32-bit word.
    const rowsPerShard = Math.min(rows, Math.floor(most / rowBytes / 2) * 2);
    if (rowsPerShard === 0) {
      throw new DeviceLimitError(
        'maxStorageBufferBindingSize',
        most,
        2 * rowBytes,
        `a row of ${name} does not fit`,
      );
    }
    const shards: MatrixShard[] = [];
    for (let firstRow = 0; firstRow < rows; firstRow += rowsPerShard) {
      const count = Math.min(rowsPerShard, rows - firstRow);
      const tensor = this.#device.createTensor('weights', name, dtype, [count, cols]);
      shards.push({ firstRow, rows: count, tensor });
    }
    return shards;
  }

  #plan(entry: TensorEntry, to: Destination, firstByte: number): void {
    const stored = floatDtype(entry);
    const converts = STORAGE[stored] !== to.dtype;
    const widening = converts ? 4 / ELEMENT_BYTES[STORAGE[stored]] : 1;
    this.#reads.push({
      entry,
      onBytes: async (offset, bytes) => {
        const values = converts ? new Uint8Array(toFloat32(stored, bytes).buffer) : bytes;
        this.#write(to, firstByte + offset * widening, values);
        this.#writtenBytes += values.length;
        if (this.#writtenBytes >= WRITE_WINDOW) {
          this.#writtenBytes = 0;
          await this.#device.gpu.queue.onSubmittedWorkDone();
          this.#device.throwIfFailed();
        }
      },
    });
  }

  /** Writes bytes at their place in the stacked matrix, which may cross from one shard to the next. */
  #write(to: Pick<Destination, 'shards'>, at: number, bytes: Uint8Array): void {
    for (const { tensor, firstByte } of to.shards) {
      const begin = Math.max(at, firstByte);
      const end = Math.min(at + bytes.length, firstByte + tensor.sizeBytes);
      if (begin >= end || tensor.memory.kind !== 'buffer') continue;
      const part = wholeWords(bytes.subarray(begin - at, end - at));
      this.#device.gpu.queue.writeBuffer(tensor.memory.buffer, begin - firstByte, part);
    }
  }
}

/**
 * The dtype a stack of tensors is stored in: theirs, if it is the same for all and each begins on a whole 32-bit
 * word; f32 otherwise.
 */
function storageOf(entries: readonly TensorEntry[], cols: number): keyof typeof ELEMENT_BYTES {
  const [first, ...others] = entries.map((entry) => STORAGE[floatDtype(entry)]);
  if (first === undefined || others.some((dtype) => dtype !== first)) return 'f32';
  const isAligned = entries
    .slice(0, -1)
    .every(({ shape }) => ((shape[0] ?? 0) * cols * ELEMENT_BYTES[first]) % 4 === 0);
  return isAligned ? first : 'f32';
}

function floatDtype({ dtype, name, file }: TensorEntry): FloatDtype {
  if (dtype === 'F32' || dtype === 'F16' || dtype === 'BF16') return dtype;
  throw new WeightFileError(
    file.name,
    `tensor ${name} is stored as ${dtype}, expected F32, F16 or BF16; use the unquantized repository`,
    { tensor: name },
  );
}

/** The bytes, with zeros up to the next multiple of 4 that `writeBuffer` asks for. */
function wholeWords(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const padded =
    bytes.length % 4 === 0
      ? bytes
      : Uint8Array.from({ length: bytes.length + 4 - (bytes.length % 4) });
  if (padded !== bytes) padded.set(bytes);
  // writeBuffer takes no shared memory; a source of the caller's own may hand some out.
  const { buffer, byteOffset, byteLength } = padded;
  return buffer instanceof ArrayBuffer
    ? new Uint8Array(buffer, byteOffset, byteLength)
    : Uint8Array.from(padded);
}
