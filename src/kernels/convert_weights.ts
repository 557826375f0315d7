/** Weights from the dtypes of files to the forms that kernels read. @module */
import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import type { Recorder } from '../gpu/recorder.ts';
import type { DeviceTensor } from '../gpu/tensor.ts';
import narrowSource from '../../shaders/narrow.wgsl?raw';
import quantizeSource from '../../shaders/quantize.wgsl?raw';
import { QUANT_GROUP, type MatrixShard } from './matrix.ts';
import { blockLibrary } from './variants.ts';

/** Forms that weights are converted to on the GPU. */
export type ConvertedForm = 'f16' | 'q8' | 'q4';

/** Elements that are converted together: a word of f16, or a group of integers. */
export const UNIT_ELEMENTS: Readonly<Record<ConvertedForm, number>> = {
  f16: 2,
  q8: QUANT_GROUP,
  q4: QUANT_GROUP,
};

/** Words of an order in the memory that {@link convertWeights} reads. */
export const CONVERT_ORDER_WORDS = 4;

/** Which units to convert. */
export interface ConvertOrder {
  readonly units: number;
  /** First unit of the source. */
  readonly from: number;
  /** First unit of the shard. */
  readonly to: number;
  /** What is written to `fault`, plus 1, where a value cannot be converted. */
  readonly tensor: number;
}

/** Writes an order to the first words of `words`. */
export function encodeConvertOrder(
  words: Uint32Array,
  { units, from, to, tensor }: ConvertOrder,
): void {
  words.set([units, from, to, tensor]);
}

const quantize = defineKernel({
  name: 'quantize',
  source: quantizeSource,
  bindings: { order: 'read', source: 'read', values: 'write', scales: 'update', fault: 'update' },
});

const narrow = defineKernel({
  name: 'narrow',
  source: narrowSource,
  bindings: { order: 'read', source: 'read', values: 'write', fault: 'update' },
});

const WORKGROUP = 64;

/**
 * Converts neighbouring elements of a weight matrix. To f16 they are rounded; to q8 and q4, each group gets the scale that
 * loses the least.
 *
 * @param memory - `order`: u32 [4], by {@link encodeConvertOrder}; `source`: elements of a file, f32, f16 or bf16; `fault`:
 *   u32 [1], raised to the order's `tensor` + 1 where a value is not finite, or too large for the form
 * @param units - those of the order
 * @param shard - of a matrix in this form; scales must be zeros before the first conversion
 */
export function convertWeights(
  recorder: Recorder,
  form: ConvertedForm,
  memory: Readonly<Record<'order' | 'source' | 'fault', DeviceTensor>>,
  units: number,
  shard: Pick<MatrixShard, 'tensor' | 'scales'>,
): void {
  const { dtype } = memory.source;
  const slots = {
    WORKGROUP,
    BLOCK: blockLibrary(dtype === 'f32' || dtype === 'f16' ? dtype : 'bf16'),
  };
  const grid = [groupsOf(units, WORKGROUP)] as const;
  const { tensor: values, scales } = shard;
  if (scales === undefined) {
    recorder.dispatch(narrow, { slots, bindings: { ...memory, values }, grid });
    return;
  }
  recorder.dispatch(quantize, {
    slots: { ...slots, FIT: `lib/fit_${form}.wgsl` },
    bindings: { ...memory, values, scales },
    grid,
  });
}
