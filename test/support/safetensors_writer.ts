/** A tensor to write: its bytes and what they are. */
export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Builds a safetensors file; https://huggingface.co/docs/safetensors describes the format. */
export function writeSafetensors(tensors: Readonly<Record<string, StoredTensor>>): Uint8Array {
  let end = 0;
  const header = Object.fromEntries(
    Object.entries(tensors).map(([name, { dtype, shape, bytes }]) => {
      const begin = end;
      end += bytes.length;
      return [name, { dtype, shape, data_offsets: [begin, end] }];
    }),
  );
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padding = (8 - (text.length % 8)) % 8;
  const file = new Uint8Array(8 + text.length + padding + end).fill(0x20);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length + padding), true);
  file.set(text, 8);
  let at = 8 + text.length + padding;
  for (const { bytes } of Object.values(tensors)) {
    file.set(bytes, at);
    at += bytes.length;
  }
  return file;
}

/** A tensor of f32 values. */
export function f32(shape: readonly number[], values: ArrayLike<number>): StoredTensor {
  return { dtype: 'F32', shape, bytes: new Uint8Array(Float32Array.from(values).buffer) };
}

/** A tensor of i32 values. */
export function i32(shape: readonly number[], values: ArrayLike<number>): StoredTensor {
  return { dtype: 'I32', shape, bytes: new Uint8Array(Int32Array.from(values).buffer) };
}
