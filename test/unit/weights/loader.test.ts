import { describe, expect, it } from 'vitest';
import { sizeOf } from '../../../src/gpu/tensor.ts';
import type { WeightMemory } from '../../../src/weights/allocate.ts';
import { openCheckpoint } from '../../../src/weights/checkpoint.ts';
import type { WeightChoice } from '../../../src/weights/forms.ts';
import { WeightLoader } from '../../../src/weights/loader.ts';
import { WeightScope } from '../../../src/weights/scope.ts';
import { memorySource } from '../../support/memory_source.ts';
import { safetensorsFile } from '../../support/safetensors_file.ts';

/** Memory that is only counted, with bindings of at most so many bytes. */
function paper(binding = Infinity): { readonly memory: WeightMemory; readonly sizes: number[] } {
  const sizes: number[] = [];
  const memory: WeightMemory = {
    facts: { limits: { maxStorageBufferBindingSize: binding, maxBufferSize: Infinity } },
    createTensor(_purpose, _label, dtype, shape) {
      const sizeBytes = sizeOf(dtype, shape);
      sizes.push(sizeBytes);
      const buffer = {} as GPUBuffer;
      return { dtype, shape, sizeBytes, memory: { kind: 'buffer', buffer, offset: 0 } };
    },
  };
  return { memory, sizes };
}

const SIZES = { F32: 4, F16: 2, BF16: 2 } as const;

async function scopeOf(choice: WeightChoice, binding?: number) {
  const tensor = (dtype: keyof typeof SIZES, ...shape: readonly number[]) => ({
    dtype,
    shape,
    bytes: new Uint8Array(shape.reduce((n, size) => n * size, SIZES[dtype])),
  });
  const file = safetensorsFile({
    conv: tensor('F32', 4, 16, 6),
    wide: tensor('F16', 4, 2 ** 11, 32),
    embed: tensor('F16', 10, 64),
    q: tensor('F16', 6, 64),
    k: tensor('BF16', 3, 64),
    odd: tensor('F16', 1, 33),
    odder: tensor('F16', 2, 33),
  });
  const checkpoint = await openCheckpoint(memorySource({ 'model.safetensors': file }));
  const { memory, sizes } = paper(binding);
  const loader = new WeightLoader(memory, checkpoint, choice);
  return { loader, w: new WeightScope(loader), sizes };
}

describe('WeightLoader', () => {
  it('stores each matrix in the form that suits it, and counts them', async () => {
    const { loader, w, sizes } = await scopeOf('q4');
    expect(w.matrix({ wide: 4 }, 2 ** 16).form).toBe('q4');
    expect(loader.small).toBe(0);
    expect(w.matrix({ q: 6, k: 3 }, 64).form).toBe('q8');
    expect(w.as('end').matrix({ embed: 10 }, 64).form).toBe('q8');
    expect(w.as('exact').matrix({ q: 6 }, 64).form).toBe('f16');
    expect(w.matrix({ odd: 1 }, 33).form).toBe('f16');
    expect(w.matrix({ conv: 4 }, 96).form).toBe('q8');
    expect(loader.small).toBe(2);
    expect(Object.fromEntries(loader.sizes)).toEqual({
      q4: { count: 1, bytes: 2 ** 17 + 2 ** 14 },
      q8: { count: 3, bytes: 9 * 68 + 10 * 68 + 4 * 102 },
      f16: { count: 2, bytes: 6 * 128 + 66 },
    });
    // Elements, then scales; each of whole words.
    const small = [9 * 64, 9 * 4, 10 * 64, 10 * 4, 6 * 128, 68, 4 * 96, 4 * 6];
    expect(sizes).toEqual([2 ** 17, 2 ** 14, ...small]);
  });

  it('keeps f32 where f16 would begin within a word', async () => {
    const { w } = await scopeOf('f16');
    expect(w.matrix({ q: 6, k: 3 }, 64).form).toBe('f16');
    expect(w.matrix({ odder: 2, odd: 1 }, 33).form).toBe('f16');
    expect(w.matrix({ odd: 1, odder: 2 }, 33).form).toBe('f32');
  });

  it('cuts elements and scales between the same rows', async () => {
    const { w } = await scopeOf('q8', 5 * 68);
    const { shards } = w.matrix({ embed: 10 }, 64);
    const shapes = shards.map(({ firstRow, rows, tensor, scales }) => [
      firstRow,
      rows,
      tensor.shape,
      scales?.shape,
    ]);
    expect(shapes).toEqual([
      [0, 4, [4, 16], [4, 2]],
      [4, 4, [4, 16], [4, 2]],
      [8, 2, [2, 16], [2, 2]],
    ]);
    const { w: narrow } = await scopeOf('q8', 2 * 68 - 1);
    expect(() => narrow.matrix({ embed: 10 }, 64)).toThrow(/a row of embed does not fit/);
  });
});
