import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DownloadError, RequestError } from '../../../src/util/errors.ts';
import { openCheckpoint } from '../../../src/weights/checkpoint.ts';
import type { Checkpoint, TensorEntry } from '../../../src/weights/checkpoint.ts';
import type { ByteSource } from '../../../src/weights/source.ts';
import { streamTensors } from '../../../src/weights/stream.ts';
import { memoryBytes, memorySource } from '../../support/memory_source.ts';
import { countingBytes, safetensorsFile } from '../../support/safetensors_file.ts';

/** A checkpoint of U8 tensors of these sizes, spread in turn over `shards` files. */
function checkpoint(sizes: readonly number[], shards = 1): Promise<Checkpoint> {
  const weightMap: Record<string, string> = {};
  const files: Record<string, Uint8Array | string> = {};
  for (let shard = 0; shard < shards; shard++) {
    const mine = sizes
      .map((size, i) => [`t${i}`, size, i] as const)
      .filter(([, , i]) => i % shards === shard);
    const tensors = mine.map(([name, size, i]) => {
      weightMap[name] = `${shard}.safetensors`;
      return [name, { dtype: 'U8', shape: [size], bytes: countingBytes(size, i * 13) }] as const;
    });
    files[`${shard}.safetensors`] = safetensorsFile(Object.fromEntries(tensors));
  }
  files['model.safetensors.index.json'] = JSON.stringify({ weight_map: weightMap });
  return openCheckpoint(memorySource(files));
}

/** The same entry, read through `wrap` of its file. */
function through(entry: TensorEntry, file: ByteSource): TensorEntry {
  return { ...entry, file };
}

describe('streamTensors', () => {
  it('delivers every tensor whole, in aligned pieces, for any sizes', async () => {
    const sizes = fc.array(fc.nat(40), { minLength: 1, maxLength: 12 });
    const options = fc.record({
      chunkBytes: fc.integer({ min: 4, max: 64 }),
      maxInFlightBytes: fc.integer({ min: 1, max: 128 }),
    });
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.integer({ min: 1, max: 3 }),
        options,
        async (lengths, shards, o) => {
          const { tensors } = await checkpoint(lengths, shards);
          const received = new Map([...tensors.keys()].map((name) => [name, [] as number[]]));
          const loaded: number[] = [];
          const reads = [...tensors.values()].map((entry) => ({
            entry,
            onBytes: (offset: number, bytes: Uint8Array): void => {
              const own = received.get(entry.name) ?? [];
              expect(offset).toBe(own.length);
              expect(bytes.length).toBeLessThanOrEqual(o.chunkBytes);
              const isLast = offset + bytes.length === entry.end - entry.begin;
              expect(isLast || bytes.length % 4 === 0).toBe(true);
              own.push(...bytes);
            },
          }));
          await streamTensors(reads.toReversed(), {
            ...o,
            onProgress: ({ loadedBytes, totalBytes }) => {
              loaded.push(loadedBytes);
              expect(totalBytes).toBe(lengths.reduce((a, b) => a + b));
            },
          });
          for (const [i, length] of lengths.entries()) {
            expect(received.get(`t${i}`)).toEqual([...countingBytes(length, i * 13)]);
          }
          expect(loaded).toEqual(loaded.toSorted((a, b) => a - b));
          expect(loaded.at(-1) ?? 0).toBe(lengths.reduce((a, b) => a + b));
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('the reads of streamTensors', () => {
  it('reads small neighbours at once, never holds more than asked, and waits for onBytes', async () => {
    const { tensors } = await checkpoint([8, 8, 40, 8, 4]);
    const ranges: string[] = [];
    let held = 0;
    let mostHeld = 0;
    let delivering = 0;
    const [first] = tensors.values();
    const file = first?.file;
    if (file === undefined) throw new Error('no tensors');
    const base = first?.begin ?? 0;
    const counted: ByteSource = {
      ...file,
      read(begin, end, signal) {
        ranges.push(`${begin - base}-${end - base}`);
        held += end - begin;
        mostHeld = Math.max(mostHeld, held);
        return file.read(begin, end, signal);
      },
    };
    const reads = [...tensors.values()].map((entry) => ({
      entry: through(entry, counted),
      onBytes: async (_: number, bytes: Uint8Array): Promise<void> => {
        expect(++delivering).toBe(1);
        await new Promise((resolve) => {
          setTimeout(resolve, 1);
        });
        delivering--;
        held -= bytes.length;
      },
    }));
    await streamTensors(reads, { chunkBytes: 20, maxInFlightBytes: 40 });
    expect(ranges).toEqual(['0-20', '20-40', '40-60', '60-68']);
    expect(mostHeld).toBe(40);
  });

  it('hands the memory of each read on to a later one', async () => {
    const { tensors, files } = await checkpoint([200]);
    const [file] = files;
    if (file === undefined) throw new Error('no file');
    const known = new Set<ArrayBuffer>();
    const reusing: ByteSource = {
      ...file,
      async read(begin, end, signal, memory = new ArrayBuffer(20)) {
        known.add(memory);
        const bytes = new Uint8Array(memory, 0, end - begin);
        bytes.set(await file.read(begin, end, signal));
        return bytes;
      },
    };
    const received: number[] = [];
    const reads = [...tensors.values()].map((entry) => ({
      entry: through(entry, reusing),
      onBytes: (_: number, bytes: Uint8Array): void => void received.push(...bytes),
    }));
    await streamTensors(reads, { chunkBytes: 20, maxInFlightBytes: 40 });
    expect(received).toEqual([...countingBytes(200)]);
    expect(known.size).toBeLessThanOrEqual(2);
  });

  it('reads only what is asked for', async () => {
    const { tensors } = await checkpoint([8, 100, 8]);
    const seen: string[] = [];
    const reads = ['t0', 't2'].flatMap((name) => {
      const entry = tensors.get(name);
      return entry === undefined ? [] : [{ entry, onBytes: (): void => void seen.push(name) }];
    });
    await streamTensors(reads, { onProgress: ({ totalBytes }) => expect(totalBytes).toBe(16) });
    expect(seen).toEqual(['t0', 't2']);
  });

  it('has nothing to do for empty tensors', async () => {
    const entry: TensorEntry = {
      name: 'empty',
      dtype: 'F32',
      shape: [0],
      begin: 8,
      end: 8,
      file: memoryBytes('a', new Uint8Array(8)),
    };
    let calls = 0;
    await streamTensors([{ entry, onBytes: () => void calls++ }]);
    expect(calls).toBe(0);
  });
});

describe('a stream that ends early', () => {
  it('rejects with the reason of an abort at any moment, and leaves no read under way', async () => {
    const { tensors } = await checkpoint([64, 64, 64]);
    for (let stopAfter = 0; stopAfter < 12; stopAfter++) {
      const controller = new AbortController();
      const reason = new Error('enough');
      let underWay = 0;
      let pieces = 0;
      if (stopAfter === 0) controller.abort(reason);
      const reads = [...tensors.values()].map((entry) => ({
        entry: through(entry, {
          ...entry.file,
          async read(begin, end, signal) {
            underWay++;
            try {
              return await entry.file.read(begin, end, signal);
            } finally {
              underWay--;
            }
          },
        }),
        onBytes: (): void => {
          if (++pieces === stopAfter) controller.abort(reason);
        },
      }));
      const stream = streamTensors(reads, { signal: controller.signal, chunkBytes: 16 });
      await expect(stream).rejects.toBe(reason);
      expect(pieces).toBe(stopAfter);
      expect(underWay).toBe(0);
    }
  });

  it('passes on what onBytes throws', async () => {
    const { tensors } = await checkpoint([64, 64]);
    const failure = new Error('no space');
    const onBytes = (): Promise<void> => Promise.reject(failure);
    const reads = [...tensors.values()].map((entry) => ({ entry, onBytes }));
    await expect(streamTensors(reads, { chunkBytes: 8 })).rejects.toBe(failure);
  });

  it('refuses a source that gives fewer bytes than asked', async () => {
    const { tensors } = await checkpoint([64]);
    const reads = [...tensors.values()].map((entry) => ({
      entry: through(entry, { ...entry.file, read: async () => new Uint8Array(63) }),
      onBytes: (): void => {},
    }));
    await expect(streamTensors(reads)).rejects.toThrow(DownloadError);
  });

  it('refuses a chunk size below four bytes', async () => {
    await expect(streamTensors([], { chunkBytes: 3 })).rejects.toThrow(RequestError);
  });
});
