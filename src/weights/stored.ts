/** What a checkpoint's header says of the tensors that a model asks for. @module */
import { WeightFileError } from '../util/errors.ts';
import type { Checkpoint, TensorEntry } from './checkpoint.ts';
import type { FloatDtype } from './format/float.ts';

/** Element type on the GPU that holds a file's elements as they are. */
export type StoredForm = 'f32' | 'f16' | 'bf16';

const STORED = { F32: 'f32', F16: 'f16', BF16: 'bf16' } as const;

export const ELEMENT_BYTES: Readonly<Record<StoredForm, number>> = { f32: 4, f16: 2, bf16: 2 };

/**
 * Finds a tensor of one of these shapes.
 *
 * @throws {WeightFileError} if it is missing or has another shape
 */
export function findTensor(
  { tensors, files }: Checkpoint,
  name: string,
  shape: readonly number[],
  ...others: readonly (readonly number[])[]
): TensorEntry {
  const entry = tensors.get(name);
  if (entry === undefined) {
    throw new WeightFileError(
      files.map((file) => file.name).join(', '),
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

/** The shape [rows, a, b, …] a tensor is stored in, if its rows have `cols` elements nevertheless. */
export function unflattened(
  { tensors }: Checkpoint,
  name: string,
  rows: number,
  cols: number,
): readonly (readonly number[])[] {
  const [, ...axes] = tensors.get(name)?.shape ?? [];
  const isSame = axes.length > 1 && axes.reduce((product, n) => product * n, 1) === cols;
  return isSame ? [[rows, ...axes]] : [];
}

/** @throws {WeightFileError} if the tensor is of a type that does not widen to f32 */
export function floatDtype({ dtype, name, file }: TensorEntry): FloatDtype {
  if (dtype === 'F32' || dtype === 'F16' || dtype === 'BF16') return dtype;
  throw new WeightFileError(
    file.name,
    `tensor ${name} is stored as ${dtype}, expected F32, F16 or BF16; use the unquantized repository`,
    { tensor: name },
  );
}

/** @throws {WeightFileError} as {@link floatDtype} */
export function storedForm(entry: TensorEntry): StoredForm {
  return STORED[floatDtype(entry)];
}

/** Whether tensors stacked in elements of this size would all begin on whole 32-bit words. */
export function areAligned(
  entries: readonly TensorEntry[],
  cols: number,
  form: StoredForm,
): boolean {
  return entries
    .slice(0, -1)
    .every(({ shape }) => ((shape[0] ?? 0) * cols * ELEMENT_BYTES[form]) % 4 === 0);
}

/** The form that holds a stack of tensors: theirs, if it is the same for all and keeps them aligned; f32 otherwise. */
export function stackedForm(entries: readonly TensorEntry[], cols: number): StoredForm {
  const [first, ...others] = entries.map(storedForm);
  if (first === undefined || others.some((form) => form !== first)) return 'f32';
  return areAligned(entries, cols, first) ? first : 'f32';
}
