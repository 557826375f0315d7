import type { DeviceTensor } from '../gpu/tensor.ts';

/**
 * How the elements of a weight matrix are stored. Kernels compute with all of them in f32.
 *
 * - `f32`, `f16`, `bf16`: as such; 16-bit types are packed two to a word
 * - `q8`: signed 8-bit integers, four to a word, lowest byte first; element = integer · scale of its group
 * - `q4`: 4 bits each, eight to a word: elements k … k+3 are the low nibbles of its bytes, k+4 … k+7 the high ones;
 *   element = (nibble − 8) · scale of its group
 *
 * A group is {@link QUANT_GROUP} neighbours in a row and has one f16 scale, of either sign.
 */
export const WEIGHT_FORMS = ['f32', 'f16', 'bf16', 'q8', 'q4'] as const;
export type WeightForm = (typeof WEIGHT_FORMS)[number];

/** Elements that share a scale in the forms q8 and q4. */
export const QUANT_GROUP = 32;

/** Consecutive rows of a matrix. */
export interface MatrixShard {
  readonly firstRow: number;
  readonly rows: number;
  /** Rows follow each other without padding: [rows, cols] f32, f16 or bf16; q8 u32 [rows, cols / 4]; q4 u32 [rows, cols / 8]. */
  readonly tensor: DeviceTensor;
  /** f16 [rows, cols / QUANT_GROUP]; absent unless the form is q8 or q4. */
  readonly scales?: DeviceTensor | undefined;
}

/**
 * A weight matrix [rows, cols] on the GPU. One that is larger than a binding may be lies in several buffers,
 * cut between rows; kernels run once per shard. `cols` of q8 and q4 is a multiple of {@link QUANT_GROUP}.
 */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly form: WeightForm;
  readonly shards: readonly MatrixShard[];
}

const BITS: Readonly<Record<WeightForm, number>> = { f32: 32, f16: 16, bf16: 16, q8: 8, q4: 4 };

/** Elements in 16 bytes of a form: rows of a multiple of it are read in whole blocks. */
export function blockElements(form: WeightForm): number {
  return 128 / BITS[form];
}

/** Whether elements of a form share scales. */
export function isQuantized(form: WeightForm): form is 'q8' | 'q4' {
  return form === 'q8' || form === 'q4';
}

/** Bytes of elements and scales of `rows` rows; `cols` must suit the form. */
export function matrixBytes(form: WeightForm, rows: number, cols: number): number {
  const scales = isQuantized(form) ? (2 * rows * cols) / QUANT_GROUP : 0;
  return (rows * cols * BITS[form]) / 8 + scales;
}
