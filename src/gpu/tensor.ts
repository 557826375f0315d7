import type { Recorder } from './recorder.ts';
import { ShapeError } from '../util/errors.ts';

/** Element type of a tensor in GPU memory. `f16` and `bf16` are packed two to a 32-bit word. */
export type DType = 'f32' | 'f16' | 'bf16' | 'u32' | 'i32';

/**
 * Numbers that differ from step to step and that grids and shaders depend on. They live in one small uniform
 * (`shaders/lib/counts.wgsl`), in this order.
 *
 * - `tokens`: T, tokens in the step
 * - `decodes`: sequences with exactly one token in the step; they come first
 * - `samples`: rows of the step whose logits are asked for
 * - `tiles`: query tiles of the many-query attention
 * - `splits`: pieces each sequence's keys are cut into by the one-query attention
 * - `combines`: sequences whose pieces must be combined: `decodes` when `splits` > 1, else 0
 * - `candidates`: rows whose log-probabilities are asked for
 * - `copies`: pages of the KV cache that are copied before the step
 */
export const COUNT_NAMES = [
  'tokens',
  'decodes',
  'samples',
  'tiles',
  'splits',
  'combines',
  'candidates',
  'copies',
] as const;

export type CountName = (typeof COUNT_NAMES)[number];
export type Counts = Readonly<Record<CountName, number>>;

/** Nothing to do. */
export const NO_COUNTS: Counts = {
  tokens: 0,
  decodes: 0,
  samples: 0,
  tiles: 0,
  splits: 0,
  combines: 0,
  candidates: 0,
  copies: 0,
};

/** A size that is known only when a step runs, with the most it can be. */
export interface Dim {
  readonly count: CountName;
  readonly capacity: number;
}

/** Number of elements along one axis. Only the first axis of a tensor may be a {@link Dim}. */
export type Extent = number | Dim;

/** Where a tensor's elements lie: in a buffer of its own, or in scratch memory that its recorder plans when recording ends. */
export type Memory =
  | { readonly kind: 'buffer'; readonly buffer: GPUBuffer; readonly offset: number }
  | { readonly kind: 'scratch'; readonly recorder: Recorder; readonly id: number };

/** A shaped range of GPU memory. Rows are contiguous; the last axis varies fastest. */
export interface DeviceTensor {
  readonly shape: readonly Extent[];
  readonly dtype: DType;
  readonly memory: Memory;
  readonly sizeBytes: number;
}

/** A value of the step being recorded: operations on it are added to its recorder. */
export interface Tensor extends DeviceTensor {
  readonly recorder: Recorder;
}

const BITS: Readonly<Record<DType, number>> = { f32: 32, f16: 16, bf16: 16, u32: 32, i32: 32 };

/** Most elements along an axis. */
export function capacityOf(extent: Extent): number {
  return typeof extent === 'number' ? extent : extent.capacity;
}

/** Elements along an axis in a step with these counts. */
export function sizeAt(extent: Extent, counts: Counts): number {
  return typeof extent === 'number' ? extent : counts[extent.count];
}

/** Bytes that `shape` takes at its capacity, rounded up to whole 32-bit words. */
export function sizeOf(dtype: DType, shape: readonly Extent[]): number {
  const elements = shape.reduce<number>((n, extent) => n * capacityOf(extent), 1);
  return Math.ceil((elements * BITS[dtype]) / 32) * 4;
}

/**
 * Checks a tensor against the pattern `[rows, ...sizes]` and returns its first extent.
 *
 * @param where - operation and operand for the message, e.g. `rms_norm: x`
 * @throws {ShapeError} if the rank, the dtype or any later size differs
 */
export function expectRows(
  where: string,
  tensor: DeviceTensor,
  dtype: DType,
  ...sizes: readonly number[]
): Extent {
  const [rows, ...rest] = tensor.shape;
  const fits = rest.length === sizes.length && rest.every((extent, i) => extent === sizes[i]);
  if (rows === undefined || !fits || tensor.dtype !== dtype) {
    throw new ShapeError(
      `${where} is ${describe(tensor)}, expected ${dtype} [rows${sizes.map((n) => `, ${n}`).join('')}]`,
    );
  }
  return rows;
}

/** @throws {ShapeError} unless `tensor` has exactly this dtype and shape */
export function expectShape(
  where: string,
  tensor: DeviceTensor,
  dtype: DType,
  shape: readonly Extent[],
): void {
  const expected = describe({ dtype, shape });
  if (describe(tensor) !== expected) {
    throw new ShapeError(`${where} is ${describe(tensor)}, expected ${expected}`);
  }
}

/** Size of the last axis. @throws {ShapeError} if the tensor has fewer than two axes */
export function lastAxis(where: string, tensor: DeviceTensor): number {
  const last = tensor.shape.at(-1);
  if (tensor.shape.length < 2 || typeof last !== 'number') {
    throw new ShapeError(`${where} is ${describe(tensor)}, expected [rows, size]`);
  }
  return last;
}

/** A dtype and shape in words: two that are equal read the same. */
function describe(tensor: Pick<DeviceTensor, 'dtype' | 'shape'>): string {
  const axes = tensor.shape.map((extent) =>
    typeof extent === 'number' ? `${extent}` : `${extent.count} ≤ ${extent.capacity}`,
  );
  return `${tensor.dtype} [${axes.join(', ')}]`;
}
