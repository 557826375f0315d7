import { expect, it } from 'vitest';
import { layerNorm } from '../../../src/nn/norm.ts';
import { WeightScope, type WeightStore } from '../../../src/weights/scope.ts';

/** The vectors that a layer norm asks a checkpoint for, given the names this one has. */
function askedOf(names: readonly string[], hasBias?: boolean): readonly string[] {
  const asked: string[] = [];
  const memory = { kind: 'buffer', buffer: {} as GPUBuffer, offset: 0 } as const;
  const none = (): never => expect.fail('a layer norm has vectors only');
  const store: WeightStore = {
    has: (name) => names.includes(name),
    matrix: none,
    rowTable: none,
    computed: none,
    constant: none,
    vector(parts) {
      asked.push(...parts.map(({ name, rows }) => `${name} [${rows}]`));
      return { shape: [12], dtype: 'f32', sizeBytes: 48, memory };
    },
  };
  layerNorm(new WeightScope(store).at('norm'), 12, 1e-12, hasBias);
  return asked;
}

it('a layer norm is stored as weight and bias, or as gamma and beta', () => {
  const current = ['norm.weight [12]', 'norm.bias [12]'];
  expect(askedOf(['norm.weight', 'norm.bias'])).toEqual(current);
  expect(askedOf(['norm.gamma', 'norm.beta'])).toEqual(['norm.gamma [12]', 'norm.beta [12]']);
  expect(askedOf(['norm.gamma', 'norm.beta', 'norm.weight', 'norm.bias'])).toEqual(current);
  // What is missing is asked for by its current name, so that the error says that one.
  expect(askedOf([])).toEqual(current);
});

it('a layer norm without bias asks for none', () => {
  expect(askedOf(['norm.weight'], false)).toEqual(['norm.weight [12]']);
});
