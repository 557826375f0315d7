import type { Device } from '../gpu/device.ts';
import { workDone } from '../gpu/prompt.ts';
import { Recorder } from '../gpu/recorder.ts';
import { StateBuffer } from '../gpu/state_buffer.ts';
import { COUNT_NAMES, NO_COUNTS, sizeOf, type DeviceTensor, type DType } from '../gpu/tensor.ts';
import {
  encodeFillOrder,
  FILL_ORDER_WORDS,
  fillRandom,
  type FillOrder,
} from '../kernels/fill_random.ts';
import { isQuantized, type Matrix, type MatrixShard, type WeightForm } from '../kernels/matrix.ts';
import { OutOfMemoryError } from '../util/errors.ts';
import { allocateMatrix, type WeightMemory } from './allocate.ts';
import { formOf, type MatrixRole } from './forms.ts';
import type { NamedPart, WeightStore } from './scope.ts';

/** Standard deviation of the elements of matrices: what most models are initialized with. */
const DEVIATION = 0.02;
/** Half the width of an even distribution, in standard deviations. */
const HALF_WIDTH = Math.sqrt(3);
/** Standard deviations of the integers of a quantized form whose bits are random. */
const INTEGER_DEVIATION = { q8: 256 / Math.sqrt(12), q4: 16 / Math.sqrt(12) } as const;
/** Offsets of bindings are multiples of this many words. */
const ORDER_STRIDE = 64;

interface Fill {
  readonly tensor: DeviceTensor;
  readonly order: Omit<FillOrder, 'seed'>;
}

export interface SyntheticOptions {
  /** What matrices are stored in, as when they are loaded; those that are not of q8 and q4 are f16. */
  readonly form: WeightForm;
  /** Whether the checkpoint that is imitated has a tensor of this name. */
  readonly has?: (name: string) => boolean;
  /** Most memory to take: what is asked for beyond is counted only, and nothing can be filled. Default: no limit. */
  readonly mostBytes?: number;
}

/**
 * Makes up the tensors that a model asks for, on the GPU: nothing is read or uploaded. Matrices are even around 0,
 * norms 1 and biases small, so that activations neither vanish nor overflow. Always the same for the same model and form.
 */
export class SyntheticWeights implements WeightStore {
  readonly #device: Device;
  readonly #options: SyntheticOptions;
  readonly #tensors: DeviceTensor[] = [];
  readonly #fills: Fill[] = [];
  #parameters = 0;
  #sizeBytes = 0;

  constructor(device: Device, options: SyntheticOptions) {
    this.#device = device;
    this.#options = options;
  }

  /** Numbers asked for so far. */
  get parameters(): number {
    return this.#parameters;
  }

  /** Bytes of GPU memory asked for so far. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  has(name: string): boolean {
    return this.#options.has?.(name) ?? false;
  }

  /** @param role - without one the form is the one asked for, however small the matrix is */
  matrix(parts: readonly NamedPart[], cols: number, role?: MatrixRole): Matrix {
    const wanted = this.#options.form;
    const stored = isQuantized(wanted) ? 'f16' : wanted;
    const rows = parts.reduce((sum, part) => sum + part.rows, 0);
    const size = { rows: role === undefined ? Infinity : rows, cols };
    const form = wanted === 'bf16' ? wanted : formOf(wanted, role ?? 'inner', stored, size);
    const name = parts.map((part) => part.name).join(' + ');
    this.#parameters += rows * cols;
    const memory: WeightMemory = {
      facts: this.#device.facts,
      createTensor: (_purpose, label, dtype, shape) => this.#allocate(label, dtype, shape),
    };
    const shards = allocateMatrix(memory, name, form, rows, cols);
    for (const shard of shards) this.#fillShard(form, shard);
    return { rows, cols, form, shards };
  }

  vector(parts: readonly NamedPart[]): DeviceTensor {
    const size = parts.reduce((sum, part) => sum + part.rows, 0);
    const name = parts.map((part) => part.name).join(' + ');
    const isBias = parts.every((part) => /(^|[._])(bias|beta)$/.test(part.name));
    this.#parameters += size;
    const spread = HALF_WIDTH * DEVIATION;
    return this.#tensor(name, 'f32', [size], { kind: 'f32', base: isBias ? 0 : 1, spread });
  }

  /** Numbers around 0 of any shape, such as keys of a cache; f32 where the memory is of integers. */
  random(name: string, dtype: DType, shape: readonly number[]): DeviceTensor {
    const kind = dtype === 'f16' || dtype === 'bf16' ? dtype : 'f32';
    return this.#tensor(name, dtype, shape, { kind, base: 0, spread: HALF_WIDTH * DEVIATION });
  }

  rowTable({ name, rows }: NamedPart, cols: number, rowOf: Uint32Array): DeviceTensor {
    this.#parameters += rows * cols;
    return this.random(name, 'f32', [rowOf.length, cols]);
  }

  computed({ name, rows }: NamedPart, cols: number, values: Float32Array): Matrix {
    const tensor = this.#allocate(name, 'f32', [rows, cols]);
    this.#write(tensor, Float32Array.from(values));
    return { rows, cols, form: 'f32', shards: [{ firstRow: 0, rows, tensor }] };
  }

  constant(name: string, values: Uint32Array): DeviceTensor {
    const tensor = this.#allocate(name, 'u32', [values.length]);
    this.#write(tensor, Uint32Array.from(values));
    return tensor;
  }

  /**
   * Fills all that was asked for.
   *
   * @param what - what it is for, in errors
   * @throws {OutOfMemoryError} if the GPU could not hold it, or it is more than `mostBytes`
   */
  async fill(what = 'made-up weights'): Promise<void> {
    const device = this.#device;
    const { mostBytes = Infinity } = this.#options;
    if (this.#sizeBytes > mostBytes) {
      throw new OutOfMemoryError(
        `${what}: takes ${this.#sizeBytes} bytes, expected at most ${mostBytes}; choose smaller sizes`,
      );
    }
    await device.settled();
    const state = new StateBuffer(device, {
      counts: { dtype: 'u32', shape: [COUNT_NAMES.length] },
      orders: { dtype: 'u32', shape: [Math.max(1, this.#fills.length), ORDER_STRIDE] },
    });
    const { counts, orders } = state.regions;
    const { memory } = orders.tensor;
    const recorder = new Recorder(device, counts.tensor);
    for (const [seed, { tensor, order }] of this.#fills.entries()) {
      const first = seed * ORDER_STRIDE;
      const end = first + FILL_ORDER_WORDS;
      const [words, floats] = [
        orders.words.subarray(first, end),
        orders.floats.subarray(first, end),
      ];
      encodeFillOrder(words, floats, { ...order, seed });
      if (memory.kind !== 'buffer') continue;
      const offset = memory.offset + first * 4;
      const sizeBytes = FILL_ORDER_WORDS * 4;
      const place = { ...memory, offset };
      fillRandom(
        recorder,
        { dtype: 'u32', shape: [FILL_ORDER_WORDS], sizeBytes, memory: place },
        tensor,
      );
    }
    const recording = await recorder.finish();
    state.upload('orders', orders.words.length);
    const encoder = device.gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    recording.replay(pass, NO_COUNTS);
    pass.end();
    device.gpu.queue.submit([encoder.finish()]);
    await workDone(device.gpu.queue);
    state.dispose();
    await device.settled();
  }

  /** Frees all that was asked for. */
  dispose(): void {
    for (const { memory } of this.#tensors) {
      if (memory.kind === 'buffer') this.#device.destroyBuffer(memory.buffer);
    }
  }

  /** Has a part of a matrix filled with numbers around 0. */
  #fillShard(form: WeightForm, { tensor, scales }: MatrixShard): void {
    const spread = HALF_WIDTH * DEVIATION;
    if (!isQuantized(form)) {
      this.#fills.push({ tensor, order: { kind: form, base: 0, spread } });
      return;
    }
    this.#fills.push({ tensor, order: { kind: 'bits', base: 0, spread: 0 } });
    if (scales === undefined) return;
    const scale = spread / INTEGER_DEVIATION[form];
    this.#fills.push({ tensor: scales, order: { kind: 'f16', base: 0, spread: scale } });
  }

  #tensor(
    name: string,
    dtype: DType,
    shape: readonly number[],
    order: Fill['order'],
  ): DeviceTensor {
    const tensor = this.#allocate(name, dtype, shape);
    this.#fills.push({ tensor, order });
    return tensor;
  }

  #allocate(name: string, dtype: DType, shape: readonly number[]): DeviceTensor {
    this.#sizeBytes += sizeOf(dtype, shape);
    const isTooMuch = this.#sizeBytes > (this.#options.mostBytes ?? Infinity);
    const stored = isTooMuch ? [1] : shape;
    const tensor = this.#device.createTensor('weights', name, dtype, stored);
    this.#tensors.push(tensor);
    return { ...tensor, shape };
  }

  #write(
    { memory }: DeviceTensor,
    values: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
  ): void {
    if (memory.kind !== 'buffer' || this.#sizeBytes > (this.#options.mostBytes ?? Infinity)) return;
    this.#device.gpu.queue.writeBuffer(memory.buffer, 0, values);
  }
}
