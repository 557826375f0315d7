/** In which form a model's matrices are stored on the GPU. @module */
import { isQuantized, QUANT_GROUP, type Matrix, type WeightForm } from '../kernels/matrix.ts';

/** What a caller may ask for. */
export type WeightOption = 'auto' | 'f32' | 'f16' | 'q8' | 'q4';
export const WEIGHT_OPTIONS: readonly WeightOption[] = ['auto', 'f32', 'f16', 'q8', 'q4'];

/** What matrices are stored in: `stored` is each in the form of its file. */
export type WeightChoice = 'stored' | Exclude<WeightOption, 'auto'>;

/**
 * What a matrix is in its network: a projection within it (`inner`), an embedding table or a head (`end`), or one that few
 * numbers depend on much, such as a router or learned positions (`exact`).
 */
export type MatrixRole = 'inner' | 'end' | 'exact';

/**
 * A matrix of fewer elements has 8 bits instead of 4. These are 128 KiB more at most, about a microsecond at 100 GB/s, and
 * models of such matrices lose most by 4 bits (docs/performance.md, "Weight forms").
 */
export const SMALL_MATRIX: number = 2 ** 18;

/**
 * The form of one matrix. Embeddings, heads and matrices below {@link SMALL_MATRIX} have at least 8 bits; a matrix whose
 * rows are no multiple of {@link QUANT_GROUP} and those that must be exact stay as they are.
 *
 * @param stored - form that holds the matrix as it is in its files
 */
export function formOf(
  choice: WeightChoice,
  role: MatrixRole,
  stored: WeightForm,
  { rows, cols }: Pick<Matrix, 'rows' | 'cols'>,
): WeightForm {
  if (choice === 'stored' || role === 'exact') return stored;
  if (isQuantized(choice) && cols % QUANT_GROUP !== 0) return stored;
  const needsEight = role === 'end' || rows * cols < SMALL_MATRIX;
  return choice === 'q4' && needsEight ? 'q8' : choice;
}

/** How many matrices are in a form, and their bytes. */
export interface FormSize {
  readonly count: number;
  readonly bytes: number;
}

/** What is known of a device's memory. WebGPU itself does not tell. */
export interface MemoryFacts {
  /** `navigator.deviceMemory`: GiB of main memory, coarse and capped; undefined where the browser keeps it to itself. */
  readonly deviceMemory: number | undefined;
  readonly maxBufferSize: number;
  /** The adapter runs on the CPU, and its largest buffer says nothing. */
  readonly isSoftware: boolean;
}

/** A form and why it was taken. */
export interface ChosenForm {
  readonly form: WeightChoice;
  readonly reason: string;
}

/** Buffers of a size that drivers allow are about this part of the memory. */
const BUFFERS_IN_MEMORY = 4;
/** The other half is for the KV cache, the page, and other programs. */
const WEIGHTS_IN_MEMORY = 1 / 2;

/**
 * What weights are stored in where the caller leaves it open: as in the files if that takes no more than half of the
 * memory, else 8 bits if these do, else 4 bits. Memory is taken to be `deviceMemory`, but at most four times the
 * largest buffer of a real GPU.
 *
 * @param bytesOf - bytes that the weights take
 */
export function chooseForm(
  { deviceMemory, maxBufferSize, isSoftware }: MemoryFacts,
  bytesOf: (form: WeightChoice) => number,
): ChosenForm {
  const main = deviceMemory === undefined ? Infinity : deviceMemory * 2 ** 30;
  const buffers = isSoftware ? Infinity : BUFFERS_IN_MEMORY * maxBufferSize;
  const memory = Math.min(main, buffers);
  if (memory === Infinity) {
    return { form: 'stored', reason: 'as in the files: nothing is known of the memory' };
  }
  const budget = memory * WEIGHTS_IN_MEMORY;
  const source =
    main <= buffers ? 'navigator.deviceMemory' : `${BUFFERS_IN_MEMORY} times maxBufferSize`;
  const room = `${mebibytes(budget)} MiB, half of ${source}`;
  const larger: string[] = [];
  for (const form of ['stored', 'q8', 'q4'] as const) {
    const bytes = bytesOf(form);
    const takes = `${mebibytes(bytes)} MiB ${form === 'stored' ? 'as in the files' : `in ${form}`}`;
    if (bytes <= budget) {
      const not = larger.length === 0 ? '' : ` (not ${larger.join(', ')})`;
      return { form, reason: `${takes} fit in ${room}${not}` };
    }
    larger.push(takes);
  }
  return { form: 'q4', reason: `the least, though ${larger.at(-1)} are more than ${room}` };
}

function mebibytes(bytes: number): number {
  return Math.ceil(bytes / 2 ** 20);
}
