import { WeightFileError } from '../../src/util/errors.ts';
import { WeightScope, type WeightStore } from '../../src/weights/scope.ts';

/** A checkpoint without bytes, for loading models without a GPU. */
export interface FakeWeights {
  readonly weights: WeightScope;
  /** Every tensor asked for, in order, with the shape that is expected of it: `model.norm.weight [12]`. */
  readonly asked: readonly string[];
}

/**
 * @param has - which names the checkpoint has; all by default
 * @param isStrict - asking for another one throws, as the loader does; else it is recorded all the same
 */
export function fakeWeights(
  has: (name: string) => boolean = () => true,
  isStrict = false,
): FakeWeights {
  const asked: string[] = [];
  const record = (name: string, ...shape: readonly number[]): void => {
    if (isStrict && !has(name)) {
      throw new WeightFileError('model.safetensors', `tensor ${name} is missing`, { tensor: name });
    }
    asked.push(`${name} [${shape.join(', ')}]`);
  };
  const tensor = (shape: readonly number[], dtype: 'f32' | 'u32' = 'f32') => {
    // Loading only passes tensors on: what is in them shows when a step is recorded.
    const memory = { kind: 'buffer', buffer: {} as GPUBuffer, offset: 0 } as const;
    return { shape, dtype, sizeBytes: 4, memory };
  };
  const store: WeightStore = {
    has,
    matrix(parts, cols) {
      for (const { name, rows } of parts) record(name, rows, cols);
      const rows = parts.reduce((sum, part) => sum + part.rows, 0);
      return { rows, cols, form: 'f32', shards: [] };
    },
    vector(parts) {
      for (const { name, rows } of parts) record(name, rows);
      return tensor([parts.reduce((sum, part) => sum + part.rows, 0)]);
    },
    rowTable({ name, rows }, cols, rowOf) {
      record(name, rows, cols);
      return tensor([rowOf.length, cols]);
    },
    computed: (part, cols) => ({ rows: part.rows, cols, form: 'f32', shards: [] }),
    constant: (_, values) => tensor([values.length], 'u32'),
  };
  return { weights: new WeightScope(store), asked };
}
