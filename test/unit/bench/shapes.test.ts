import { describe, expect, it } from 'vitest';
import { caseSizes, shapeConfig, SHAPES } from '../../../src/bench/shapes.ts';
import { kindOf } from '../../../src/models/kinds.ts';
import { RequestError } from '../../../src/util/errors.ts';

describe('shapes', () => {
  it.each(Object.keys(SHAPES))('%s is a model that we run', (name) => {
    const config = shapeConfig(name);
    expect(['decoder', 'encoder', 'seq2seq']).toContain(kindOf(config));
    const { matrices, heads, kvHeads, headDim, dim } = caseSizes(config);
    expect(matrices.length).toBeGreaterThan(3);
    expect(heads % kvHeads).toBe(0);
    expect(matrices[1]).toEqual({ outputs: dim, inputs: heads * headDim });
  });

  it('has the matrices of SmolLM2-135M', () => {
    expect(caseSizes(shapeConfig('smollm2-135m')).matrices).toEqual([
      { outputs: 960, inputs: 576 },
      { outputs: 576, inputs: 576 },
      { outputs: 3072, inputs: 576 },
      { outputs: 576, inputs: 1536 },
      { outputs: 49_152, inputs: 576 },
    ]);
  });

  it('names those there are', () => {
    expect(() => shapeConfig('gpt-9')).toThrow(RequestError);
    expect(() => shapeConfig('gpt-9')).toThrow('expected one of: smollm2-135m');
  });
});
