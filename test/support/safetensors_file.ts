/** A tensor to put into a file made for a test. */
export interface TestTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A well-formed safetensors file holding the tensors in the order given. */
export function safetensorsFile(tensors: Readonly<Record<string, TestTensor>>): Uint8Array {
  const header: Record<string, unknown> = {};
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const [name, { dtype, shape, bytes }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
    parts.push(bytes);
  }
  return rawFile(JSON.stringify(header), concat(parts));
}

/** Length field, header text as it is, data as it is. */
export function rawFile(header: string, data: Uint8Array = new Uint8Array()): Uint8Array {
  const text = new TextEncoder().encode(header);
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigUint64(0, BigInt(text.length), true);
  return concat([prefix, text, data]);
}

/** Names of the tensors in a file. */
export function tensorNames(bytes: Uint8Array): readonly string[] {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header: unknown = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  return Object.keys(header as object).filter((name) => name !== '__metadata__');
}

/** `count` bytes that differ from place to place. */
export function countingBytes(count: number, start = 0): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => (start + i * 7) % 251);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
