import type { DeviceTensor } from '../gpu/tensor.ts';
import type { Matrix } from '../kernels/matrix.ts';
import type { MatrixRole } from './forms.ts';

/** Where {@link WeightScope} gets its tensors from. */
export interface WeightStore {
  /** Whether the checkpoint has a tensor of this full name. */
  has(name: string): boolean;
  /** Reserves GPU memory for the tensors stacked by rows; each is `[rows, cols]`, or `[rows, a, b]` with a · b = cols. */
  matrix(parts: readonly NamedPart[], cols: number, role: MatrixRole): Matrix;
  /** Reserves GPU memory for one-dimensional tensors laid end to end, as f32; `[1, n]` counts as `[n]`. */
  vector(parts: readonly NamedPart[]): DeviceTensor;
  /** Reserves GPU memory for chosen rows of a tensor `[rows, cols]`, as f32. */
  rowTable(part: NamedPart, cols: number, rowOf: Uint32Array): DeviceTensor;
  /** Reserves GPU memory for a matrix `[rows, cols]` that no file holds. */
  computed(part: NamedPart, cols: number, values: Float32Array): Matrix;
  /** Reserves GPU memory for integers that no file holds. */
  constant(name: string, values: Uint32Array): DeviceTensor;
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
  readonly #role: MatrixRole;

  constructor(store: WeightStore, prefix = '', role: MatrixRole = 'inner') {
    this.#store = store;
    this.#prefix = prefix;
    this.#role = role;
  }

  /** The scope `path` below this one. */
  at(...path: readonly (string | number)[]): WeightScope {
    return new WeightScope(this.#store, this.#name(path.join('.')), this.#role);
  }

  /** This scope, where matrices are of this role instead of `inner`; it decides in which forms they may be stored. */
  as(role: MatrixRole): WeightScope {
    return new WeightScope(this.#store, this.#prefix, role);
  }

  has(name: string): boolean {
    return this.#store.has(this.#name(name));
  }

  /**
   * A weight matrix, in a form that the loader chooses. Several parts are stacked by rows into one matrix. A row may have
   * several axes in the file, as that of a convolution.
   *
   * @throws {WeightFileError} if a tensor is missing, has another shape, or a dtype we cannot compute with
   * @throws {DeviceLimitError} if a row is larger than the device's bindings
   */
  matrix(parts: Readonly<Record<string, number>>, cols: number): Matrix {
    return this.#store.matrix(this.#parts(parts), cols, this.#role);
  }

  /**
   * A vector such as a bias or a norm weight, as f32 whatever it is stored in. Several parts are laid end to end.
   *
   * @throws {WeightFileError} as {@link matrix}
   */
  vector(parts: Readonly<Record<string, number>>): DeviceTensor {
    return this.#store.vector(this.#parts(parts));
  }

  /**
   * Rows of a small matrix, repeated and ordered as `rowOf` says: what a function of few arguments looks up, such as
   * the bias of each distance. The whole matrix passes through memory while loading.
   *
   * @param rowOf - row i of the result is row `rowOf[i]` of the tensor [rows, cols]
   * @returns f32 [rowOf.length, cols]
   * @throws {WeightFileError} as {@link matrix}
   * @throws {ShapeError} if a row is not in the tensor
   */
  rowTable(name: string, rows: number, cols: number, rowOf: Uint32Array): DeviceTensor {
    return this.#store.rowTable({ name: this.#name(name), rows }, cols, rowOf);
  }

  /**
   * A matrix that is not in the checkpoint since it follows from a formula, such as sinusoidal positions.
   *
   * @param name - for labels and messages
   * @param values - [rows, cols]; must not change until the model has been loaded
   * @throws {DeviceLimitError} as {@link matrix}
   */
  computed(name: string, rows: number, cols: number, values: Float32Array): Matrix {
    return this.#store.computed({ name: this.#name(name), rows }, cols, values);
  }

  /**
   * Integers that follow from the configuration, such as the row of a table for each distance.
   *
   * @param name - for labels and messages
   * @param values - must not change until the model has been loaded
   * @returns u32 [values.length]
   */
  constant(name: string, values: Uint32Array): DeviceTensor {
    return this.#store.constant(this.#name(name), values);
  }

  #parts(parts: Readonly<Record<string, number>>): readonly NamedPart[] {
    return Object.entries(parts).map(([name, rows]) => ({ name: this.#name(name), rows }));
  }

  #name(name: string): string {
    return this.#prefix === '' ? name : `${this.#prefix}.${name}`;
  }
}
