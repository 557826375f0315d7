/**
 * Header of a safetensors file: eight bytes of length, a JSON object, then the tensors' bytes.
 *
 *   ┌──────────────┬───────────────────────────────────────────────┬──────────────┐
 *   │ N: u64 LE    │ N bytes of UTF-8 JSON, padded with spaces     │ data         │
 *   └──────────────┴───────────────────────────────────────────────┴──────────────┘
 *                    {"name": {"dtype", "shape", "data_offsets": [begin, end]}, …}
 *                    offsets count from the start of data
 *
 * Format: https://huggingface.co/docs/safetensors/index#format. The checks are those of the reference
 * reader (`Metadata::validate`): tensors cover the data section without overlap or hole, and each has
 * exactly the bytes that its shape and dtype need. One check is added: a tensor begins at a multiple of
 * its element size (at most 4, the GPU's word), counted from the start of the data section.
 *
 * @module
 */
import { WeightFileError } from '../../util/errors.ts';
import { asObject, duplicateKey, parseJson } from './json.ts';

/** Bits per element of every dtype of the format. */
export const DTYPE_BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E5M2FNUZ: 8,
  F8_E4M3FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  I64: 64,
  U64: 64,
  F64: 64,
  C64: 64,
} as const;

/** Element type in the spelling of the file. */
export type Dtype = keyof typeof DTYPE_BITS;

/** What the header says of one tensor. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Offset of the first byte, counted from the start of the file. */
  readonly begin: number;
  /** Offset one past the last byte, counted from the start of the file. */
  readonly end: number;
}

/** Contents of a header that has passed every check. */
export interface SafetensorsHeader {
  /** In the order of their bytes in the file; together they cover the data section exactly. */
  readonly tensors: readonly TensorInfo[];
  /** The `__metadata__` entry, empty where the file has none. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** Bytes of the length field that a file begins with. */
export const PREFIX_BYTES = 8;

/** Longest header the format allows, so that a damaged length cannot exhaust memory. */
const MAX_HEADER_BYTES = 100_000_000;

/** First bytes of what people load by mistake; consulted only when the length field is absurd. */
const SIGNATURES: readonly (readonly [start: string, kind: string])[] = [
  ['PK\x03\x04', 'a zip archive, probably a PyTorch checkpoint'],
  ['\x80', 'a Python pickle, probably a PyTorch checkpoint'],
  ['GGUF', 'a GGUF file'],
  ['version ', 'a Git LFS pointer in place of the file itself'],
  ['\x89HDF', 'an HDF5 file'],
  ['<', 'an HTML or XML page'],
  ['{', 'a JSON document'],
];

/**
 * Reads the length of the JSON header.
 *
 * @param file - name of the file, for messages
 * @param prefix - the first 8 bytes, or all of a shorter file
 * @param fileBytes - size of the whole file
 * @returns the number of header bytes that follow the prefix
 * @throws {WeightFileError} if this is no safetensors file, or the header cannot fit
 */
export function headerLength(file: string, prefix: Uint8Array, fileBytes: number): number {
  if (prefix.length < PREFIX_BYTES || fileBytes < PREFIX_BYTES) {
    throw new WeightFileError(
      file,
      `the file has ${fileBytes} bytes, fewer than the ${PREFIX_BYTES} that a safetensors file begins with; the download is probably truncated`,
    );
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length >= 2n ** 32n) {
    const kind = describeSignature(prefix);
    if (kind !== undefined) {
      throw new WeightFileError(file, `this is ${kind}, expected a safetensors file`);
    }
  }
  if (length > BigInt(fileBytes - PREFIX_BYTES)) {
    const limit =
      length > MAX_HEADER_BYTES ? ` and than the format's limit of ${MAX_HEADER_BYTES} bytes` : '';
    throw new WeightFileError(
      file,
      `header length ${length} is larger than the file (${fileBytes} bytes)${limit}; the download is probably damaged`,
    );
  }
  if (length > MAX_HEADER_BYTES) {
    throw new WeightFileError(
      file,
      `header length ${length} is larger than the format's limit of ${MAX_HEADER_BYTES} bytes (100 MB)`,
    );
  }
  return Number(length);
}

/**
 * Parses and checks the JSON header.
 *
 * @param file - name of the file, for messages
 * @param header - the bytes between the length field and the data
 * @param fileBytes - size of the whole file
 * @throws {WeightFileError} if the header is not what the format prescribes
 */
export function parseHeader(
  file: string,
  header: Uint8Array,
  fileBytes: number,
): SafetensorsHeader {
  const fail = (message: string, options?: ErrorOptions): WeightFileError =>
    new WeightFileError(file, `header ${message}`, options);
  const { text, value } = parseJson(header, fail);
  const entries = asObject(value);
  if (entries === undefined) throw fail('is not a JSON object, expected {"name": {…}, …}');
  const duplicate = duplicateKey(text);
  if (duplicate !== undefined) throw fail(`has the key "${duplicate}" twice`);

  const dataBegin = PREFIX_BYTES + header.length;
  const tensors: TensorInfo[] = [];
  for (const [name, entry] of Object.entries(entries)) {
    if (name !== '__metadata__') tensors.push(parseTensor(file, name, entry, dataBegin, fileBytes));
  }
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkCoverage(file, tensors, dataBegin, fileBytes);
  return { tensors, metadata: parseMetadata(entries['__metadata__'], fail) };
}

function parseTensor(
  file: string,
  name: string,
  value: unknown,
  dataBegin: number,
  fileBytes: number,
): TensorInfo {
  const fail = (message: string): WeightFileError =>
    new WeightFileError(file, `tensor "${name}": ${message}`, { tensor: name });

  const entry = asObject(value);
  if (entry === undefined) {
    throw fail(`its header entry is ${show(value)}, expected an object`);
  }
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!isDtype(dtype)) {
    throw fail(
      `unknown dtype ${show(dtype)}, expected one of ${Object.keys(DTYPE_BITS).join(', ')}`,
    );
  }
  if (!isSizes(shape)) throw fail(`shape is ${show(shape)}, expected a list of integers ≥ 0`);
  if (!isSizes(offsets) || offsets.length !== 2) {
    throw fail(`data_offsets is ${show(offsets)}, expected two integers ≥ 0`);
  }
  const [begin = 0, end = 0] = offsets;
  const sizeBytes = tensorBytes(dtype, shape, fail);
  if (end < begin) throw fail(`data_offsets [${begin}, ${end}] end before they begin`);
  if (end - begin !== sizeBytes) {
    throw fail(
      `data_offsets [${begin}, ${end}] hold ${end - begin} bytes, but ${dtype} [${shape.join(', ')}] needs ${sizeBytes}`,
    );
  }
  const alignment = Math.min(4, Math.ceil(DTYPE_BITS[dtype] / 8));
  if (begin % alignment !== 0) {
    throw fail(
      `data_offsets begin at ${begin}, misaligned for ${dtype}, expected a multiple of ${alignment}; save the file again with a current safetensors library`,
    );
  }
  if (end > fileBytes - dataBegin) {
    throw fail(
      `data_offsets [${begin}, ${end}] reach past the ${fileBytes - dataBegin} bytes of data; the file is truncated or its header damaged`,
    );
  }
  return { name, dtype, shape, begin: dataBegin + begin, end: dataBegin + end };
}

function tensorBytes(
  dtype: Dtype,
  shape: readonly number[],
  fail: (message: string) => WeightFileError,
): number {
  let bits: number = DTYPE_BITS[dtype];
  for (const size of shape) {
    bits *= size;
    if (!Number.isSafeInteger(bits)) {
      throw fail(`shape [${shape.join(', ')}] of ${dtype} overflows: more than 2^53 bits`);
    }
  }
  if (bits % 8 !== 0) {
    throw fail(`shape [${shape.join(', ')}] of ${dtype} is ${bits} bits, expected whole bytes`);
  }
  return bits / 8;
}

/** The tensors, sorted by offset, must tile the data section. */
function checkCoverage(
  file: string,
  tensors: readonly TensorInfo[],
  dataBegin: number,
  fileBytes: number,
): void {
  let position = dataBegin;
  let previous = 'the start of the data';
  for (const { name, begin, end } of tensors) {
    if (begin !== position) {
      const found = begin < position ? 'overlaps' : `leaves ${begin - position} unused bytes after`;
      throw new WeightFileError(
        file,
        `tensor "${name}": begins at ${begin - dataBegin} and ${found} ${previous}, expected ${position - dataBegin}`,
        { tensor: name },
      );
    }
    position = end;
    previous = `tensor "${name}"`;
  }
  if (position !== fileBytes) {
    throw new WeightFileError(
      file,
      `${fileBytes - position} bytes after ${previous} belong to no tensor, expected the file to end there; the header or the file is damaged`,
    );
  }
}

function parseMetadata(
  value: unknown,
  fail: (message: string) => WeightFileError,
): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  // The reference reader takes null for absent.
  if (value === undefined || value === null) return metadata;
  const entries = asObject(value);
  if (entries === undefined) throw fail(`has __metadata__ ${show(value)}, expected an object`);
  for (const [key, text] of Object.entries(entries)) {
    if (typeof text !== 'string') {
      throw fail(`has __metadata__.${key} ${show(text)}, expected a string`);
    }
    metadata.set(key, text);
  }
  return metadata;
}

function describeSignature(prefix: Uint8Array): string | undefined {
  const start = String.fromCharCode(...prefix.subarray(0, PREFIX_BYTES));
  return SIGNATURES.find(([signature]) => start.startsWith(signature))?.[1];
}

function isDtype(value: unknown): value is Dtype {
  return typeof value === 'string' && Object.hasOwn(DTYPE_BITS, value);
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

/** A value for a message, cut to a readable length. */
function show(value: unknown): string {
  const text = value === undefined ? 'missing' : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
