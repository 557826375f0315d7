/** A model directory's reference outputs, and how far ours are from them. @module */
import type { Device } from '../gpu/device.ts';
import { readBuffer } from '../gpu/readback.ts';
import { ConfigError, WeightFileError } from '../util/errors.ts';
import { toFloat32 } from '../weights/format/float.ts';
import { headerLength, parseHeader, PREFIX_BYTES } from '../weights/format/safetensors.ts';
import type { ModelSource } from '../weights/source.ts';

/** File with the inputs and outputs of the reference implementation. */
export const EXPECTED = 'expected.safetensors';

/** How far one value is from the reference's. */
export interface TensorDifference {
  /** Largest |ours − reference|. */
  readonly maxAbs: number;
  /** Largest |reference|. */
  readonly maxRef: number;
  /** `maxAbs / maxRef`. */
  readonly rel: number;
}

/** A sequence of the reference. */
export interface InputRow {
  readonly ids: readonly number[];
  /** Index of the row's first token among batch × tokens. */
  readonly offset: number;
}

/** The largest differences found, by tensor. */
export class Differences {
  readonly worst: Record<string, TensorDifference> = {};
  readonly #device: Device;
  readonly #expected: Reference;

  constructor(device: Device, expected: Reference) {
    this.#device = device;
    this.#expected = expected;
  }

  /**
   * Compares values with one row per token.
   *
   * @param first - token of the reference that row 0 belongs to
   */
  async add(
    values: ReadonlyMap<string, GPUBufferBinding>,
    first: number,
    rows: number,
  ): Promise<void> {
    for (const [name, range] of values) {
      const size = this.#expected.get(name)?.shape.at(-1) ?? 0;
      await this.addColumns([name], range, { first, rows, size });
    }
  }

  /** Compares one value whose columns have names of their own, or all one name. */
  async addColumns(
    names: readonly string[],
    range: GPUBufferBinding,
    { first, rows, size }: { readonly first: number; readonly rows: number; readonly size: number },
  ): Promise<void> {
    if (!names.some((name) => this.#expected.has(name))) return;
    const bytes = await readBuffer(this.#device, { ...range, size: rows * size * 4 });
    const all = new Float32Array(bytes);
    const width = size / names.length;
    for (const [column, name] of names.entries()) {
      const reference = this.#expected.get(name);
      if (reference === undefined) continue;
      const ours = all.filter((_, i) => Math.floor((i % size) / width) === column);
      const want = reference.values.subarray(first * width, (first + rows) * width);
      this.worst[name] = worse(this.worst[name], difference(ours, want));
    }
  }
}

function difference(actual: Float32Array, expected: Float32Array): TensorDifference {
  let maxAbs = 0;
  let maxRef = 0;
  for (const [i, want] of expected.entries()) {
    const distance = Math.abs((actual[i] ?? Number.NaN) - want);
    // Written so that a NaN of ours counts as a difference.
    maxAbs = distance <= maxAbs ? maxAbs : Number.isNaN(distance) ? Infinity : distance;
    maxRef = Math.max(maxRef, Math.abs(want));
  }
  return { maxAbs, maxRef, rel: maxRef === 0 ? maxAbs : maxAbs / maxRef };
}

function worse(a: TensorDifference | undefined, b: TensorDifference): TensorDifference {
  if (a === undefined) return b;
  const maxAbs = Math.max(a.maxAbs, b.maxAbs);
  const maxRef = Math.max(a.maxRef, b.maxRef);
  return { maxAbs, maxRef, rel: maxRef === 0 ? maxAbs : maxAbs / maxRef };
}

/** A tensor of the file, as f32. */
export interface ReferenceTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** The file's tensors, by name. */
export type Reference = ReadonlyMap<string, ReferenceTensor>;

/**
 * Reads the reference's inputs and outputs.
 *
 * @throws {WeightFileError} if the file is missing or damaged
 * @throws `signal.reason` when aborted
 */
export async function readExpected(source: ModelSource, signal?: AbortSignal): Promise<Reference> {
  const file = await source.open(EXPECTED, signal);
  if (file === undefined) {
    throw new WeightFileError(EXPECTED, `missing in ${source.name}, expected reference outputs`);
  }
  const bytes = await file.read(0, file.size, signal);
  const begin = PREFIX_BYTES + headerLength(EXPECTED, bytes.subarray(0, PREFIX_BYTES), file.size);
  const { tensors } = parseHeader(EXPECTED, bytes.subarray(PREFIX_BYTES, begin), file.size);
  return new Map(
    tensors.map(({ name, dtype, shape, begin: from, end }) => {
      const part = bytes.slice(from, end);
      switch (dtype) {
        case 'I32':
          return [name, { shape, values: Float32Array.from(new Int32Array(part.buffer)) }];
        case 'I64':
          return [
            name,
            { shape, values: Float32Array.from(new BigInt64Array(part.buffer), Number) },
          ];
        case 'F32':
        case 'F16':
        case 'BF16':
          return [name, { shape, values: toFloat32(dtype, part) }];
        default:
          throw new WeightFileError(
            EXPECTED,
            `${name} is ${dtype}, expected F32, F16, BF16, I32 or I64`,
            {
              tensor: name,
            },
          );
      }
    }),
  );
}

/** The rows of `input_ids` without the padding on their right, or of `decoder_input_ids`, which have none. */
export function inputRows(
  expected: Reference,
  name: 'input_ids' | 'decoder_input_ids',
): readonly InputRow[] {
  const inputs = expected.get(name);
  if (inputs === undefined) return [];
  // Multiple choice has an axis of choices between them.
  const tokens = inputs.shape.at(-1) ?? 0;
  const batch = inputs.shape.slice(0, -1).reduce((n, size) => n * size, 1);
  const mask = name === 'input_ids' ? expected.get('attention_mask')?.values : undefined;
  return Array.from({ length: batch }, (_, row) => {
    const offset = row * tokens;
    const ids = [...inputs.values.subarray(offset, offset + tokens)];
    const length = mask?.subarray(offset, offset + tokens).indexOf(0) ?? -1;
    return { ids: length === -1 ? ids : ids.slice(0, length), offset };
  }).filter(({ ids }) => ids.length > 0);
}

/** Tokens of the longest row, at least 1. */
export function longestOf(rows: readonly InputRow[]): number {
  return Math.max(1, ...rows.map(({ ids }) => ids.length));
}

/** The ids of a tensor in a row; none if it is missing. */
export function idsOf(expected: Reference, name: string): readonly number[] {
  return [...(expected.get(name)?.values ?? [])];
}

/** @throws {ConfigError} if an id is none of the vocabulary's */
export function checkIds(vocab: number, rows: readonly (readonly number[])[]): void {
  const bad = rows.flat().find((id) => id < 0 || id >= vocab);
  if (bad !== undefined) {
    throw new ConfigError(
      `${EXPECTED}: token id ${bad} is out of range, expected 0 to ${vocab - 1}`,
    );
  }
}
