import type { DeviceTensor } from '../gpu/tensor.ts';
import type { Matrix } from '../kernels/matrix.ts';

/** Where {@link WeightScope} gets its tensors from. */
export interface WeightStore {
  /** Whether the checkpoint has a tensor of this full name. */
  has(name: string): boolean;
  /** Reserves GPU memory for the tensors stacked by rows; each is `[rows, cols]`. */
  matrix(parts: readonly NamedPart[], cols: number): Matrix;
  /** Reserves GPU memory for one-dimensional tensors laid end to end, as f32. */
  vector(parts: readonly NamedPart[]): DeviceTensor;
}

/** A tensor of the checkpoint by its full name, and its number of rows or elements. */
export interface NamedPart {
  readonly name: string;
  readonly rows: number;
}

/**
 * Named tensors of a checkpoint below one prefix, e.g. `model.layers.3.self_attn`. Asking for a tensor
 * reserves its GPU memory; the bytes follow when the model has been put together.
 */
export class WeightScope {
  readonly #store: WeightStore;
  readonly #prefix: string;

  constructor(store: WeightStore, prefix = '') {
    this.#store = store;
    this.#prefix = prefix;
  }

  /** The scope `path` below this one. */
  at(...path: readonly (string | number)[]): WeightScope {
    return new WeightScope(this.#store, this.#name(path.join('.')));
  }

  has(name: string): boolean {
    return this.#store.has(this.#name(name));
  }

  /**
   * A weight matrix, in the dtype it is stored in. Several parts are stacked by rows into one matrix.
   *
   * @throws {WeightFileError} if a tensor is missing, has another shape, or a dtype we cannot compute with
   * @throws {DeviceLimitError} if a row is larger than the device's bindings
   */
  matrix(parts: Readonly<Record<string, number>>, cols: number): Matrix {
    return this.#store.matrix(this.#parts(parts), cols);
  }

  /**
   * A vector such as a bias or a norm weight, as f32 whatever it is stored in. Several parts are laid end to end.
   *
   * @throws {WeightFileError} as {@link matrix}
   */
  vector(parts: Readonly<Record<string, number>>): DeviceTensor {
    return this.#store.vector(this.#parts(parts));
  }

  #parts(parts: Readonly<Record<string, number>>): readonly NamedPart[] {
    return Object.entries(parts).map(([name, rows]) => ({ name: this.#name(name), rows }));
  }

  #name(name: string): string {
    return this.#prefix === '' ? name : `${this.#prefix}.${name}`;
  }
}
