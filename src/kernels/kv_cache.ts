import type { Device } from '../gpu/device.ts';
import { sizeOf, type DeviceTensor } from '../gpu/tensor.ts';
import { roundUp } from '../util/arith.ts';

/** Element type of a KV cache. */
export type KvDType = 'f32' | 'f16';

/** Every {@link KvDType}. */
export const KV_DTYPES: readonly KvDType[] = ['f32', 'f16'];

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
  const { keys, values } = kvTensorShapes(pages, shape);
  return {
    ...shape,
    pages,
    keys: device.createTensor('kv', 'keys of the KV cache', shape.dtype, keys),
    values: device.createTensor('kv', 'values of the KV cache', shape.dtype, values),
  };
}

/** GPU memory that one page of one layer takes, keys and values together. */
export function kvBytesPerPage(shape: KvShape): number {
  const { keys, values } = kvTensorShapes(1, shape);
  return sizeOf(shape.dtype, keys) + sizeOf(shape.dtype, values);
}

/** Head size as kernels store queries, keys and values: whole vec4s. */
export function paddedHeadDim(headDim: number): number {
  return roundUp(headDim, 4);
}

/** Library file that reads and writes a cache of this type: the KV slot. */
export function kvLibrary(dtype: KvDType): string {
  return dtype === 'f16' ? 'lib/kv_f16.wgsl' : 'lib/kv_f32.wgsl';
}

/** Shapes of a layer's `keys` and `values`; see {@link KvLayer}. */
export function kvTensorShapes(
  pages: number,
  { kvHeads, headDim, pageSize }: KvShape,
): { readonly keys: readonly number[]; readonly values: readonly number[] } {
  const padded = paddedHeadDim(headDim);
  return {
    keys: [pages, kvHeads, padded / 4, pageSize, 4],
    values: [pages, kvHeads, pageSize, padded],
  };
}
