import type { Device } from '../gpu/device.ts';
import { sizeOf, type DeviceTensor, type DType } from '../gpu/tensor.ts';
import { roundUp } from '../util/arith.ts';

/** Element type of a KV cache. `q8`: whole numbers from -127 to 127, with an f32 scale for each token and head. */
export type KvDType = 'f32' | 'f16' | 'q8';

/** Every {@link KvDType}. */
export const KV_DTYPES: readonly KvDType[] = ['f32', 'f16', 'q8'];

/** Sizes of one layer's cache. */
export interface KvShape {
  readonly kvHeads: number;
  readonly headDim: number;
  /** Tokens per page. */
  readonly pageSize: number;
  readonly dtype: KvDType;
}

/**
 * One layer's keys and values, in pages of `pageSize` tokens that any sequence may hold; with the head size K
 * rounded up to a multiple of 4 and padded with zeros:
 *
 * - `keys` [pages, kvHeads, K / 4, pageSize, 4]: a thread per key reads next to its neighbour
 * - `values` [pages, kvHeads, pageSize, K]: a thread per four dims does
 *
 * As `q8`, four dims are a word, and a head has one word more, its scale: u32 `keys` [pages, kvHeads, K / 4 + 1, pageSize],
 * `values` [pages, kvHeads, pageSize, K / 4 + 1].
 *
 * After vLLM's PagedAttention (Kwon et al. 2023, arXiv:2309.06180). `shaders/lib/kv_pages.wgsl` is the other side.
 */
export interface KvLayer extends KvShape {
  readonly pages: number;
  readonly keys: DeviceTensor;
  readonly values: DeviceTensor;
}

/**
 * Allocates one layer's cache, zeroed.
 *
 * @throws {DeviceLimitError} if the keys do not fit in one binding
 */
export function createKvLayer(device: Device, pages: number, shape: KvShape): KvLayer {
  const { dtype, keys, values } = kvTensorShapes(pages, shape);
  return {
    ...shape,
    pages,
    keys: device.createTensor('kv', 'keys of the KV cache', dtype, keys),
    values: device.createTensor('kv', 'values of the KV cache', dtype, values),
  };
}

/** GPU memory that one page of one layer takes, keys and values together. */
export function kvBytesPerPage(shape: KvShape): number {
  const { dtype, keys, values } = kvTensorShapes(1, shape);
  return sizeOf(dtype, keys) + sizeOf(dtype, values);
}

/** Head size as kernels store queries, keys and values: whole vec4s. */
export function paddedHeadDim(headDim: number): number {
  return roundUp(headDim, 4);
}

/** Library file that reads and writes a cache of this type: the KV slot. */
export function kvLibrary(dtype: KvDType): string {
  return `lib/kv_${dtype}.wgsl`;
}

/** Words or vec4s of a head of a key or value, its scale included. */
export function kvRow4({ headDim, dtype }: Pick<KvShape, 'headDim' | 'dtype'>): number {
  return paddedHeadDim(headDim) / 4 + Number(dtype === 'q8');
}

/** Shapes of a layer's `keys` and `values`, and the type they are stored as; see {@link KvLayer}. */
export function kvTensorShapes(
  pages: number,
  shape: KvShape,
): { readonly dtype: DType; readonly keys: readonly number[]; readonly values: readonly number[] } {
  const { kvHeads, pageSize, dtype } = shape;
  const row4 = kvRow4(shape);
  if (dtype === 'q8') {
    return {
      dtype: 'u32',
      keys: [pages, kvHeads, row4, pageSize],
      values: [pages, kvHeads, pageSize, row4],
    };
  }
  return {
    dtype,
    keys: [pages, kvHeads, row4, pageSize, 4],
    values: [pages, kvHeads, pageSize, row4 * 4],
  };
}
