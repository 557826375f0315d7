import { describe, expect, it } from 'vitest';
import { forwardFlops } from '../../../src/bench/ceilings.ts';
import { bidirectionalWork, causalWork } from '../../../src/engine/run_step.ts';
import { boundCost, rowsCost, type Work } from '../../../src/gpu/cost.ts';
import { NO_COUNTS, type DeviceTensor, type Extent, type Memory } from '../../../src/gpu/tensor.ts';

const COUNTS = { ...NO_COUNTS, tokens: 3 };
const WORK: Work = { counts: COUNTS, kvTokens: 0, pairs: 0 };

/** A tensor of one element per row in a buffer that is only told from others. */
function tensor(buffer: object, rows: Extent, sizeBytes: number, offset = 0): DeviceTensor {
  const memory = { kind: 'buffer', buffer, offset } as unknown as Memory;
  return { dtype: 'f32', shape: [rows], sizeBytes, memory };
}

describe('the cost of a dispatch', () => {
  const tokens: Extent = { count: 'tokens', capacity: 10 };

  it('is every tensor bound, at the size of the step, once', () => {
    const [a, b] = [{}, {}];
    const bindings = [tensor(a, tokens, 40), tensor(b, 7, 28), tensor(a, tokens, 40)];
    expect(boundCost(bindings, WORK)).toEqual({ bytes: 3 * 4 + 28, flops: 0 });
  });

  it('counts two ranges of a buffer as two', () => {
    const buffer = {};
    const bindings = [tensor(buffer, 4, 16), tensor(buffer, 4, 16, 256)];
    expect(boundCost(bindings, WORK).bytes).toBe(32);
  });

  it('is so much per row', () => {
    expect(rowsCost(tokens, { bytes: 8 })(WORK)).toEqual({ bytes: 24, flops: 0 });
    expect(rowsCost(5, { bytes: 8, flops: 2 })(WORK)).toEqual({ bytes: 40, flops: 10 });
  });
});

describe('the work of a step', () => {
  it('has each query see the keys up to itself', () => {
    const parts = [
      { count: 1, kvLength: 9 },
      { count: 3, kvLength: 5 },
    ];
    expect(causalWork(COUNTS, parts)).toEqual({
      counts: COUNTS,
      kvTokens: 14,
      pairs: 9 + 3 + 4 + 5,
    });
  });

  it('has a window', () => {
    const parts = [{ count: 3, kvLength: 6 }];
    expect(causalWork(COUNTS, parts, 2)).toMatchObject({ kvTokens: 4, pairs: 6 });
    expect(causalWork(COUNTS, parts, 100)).toMatchObject({ kvTokens: 6, pairs: 15 });
  });

  it('has each token see all of its text', () => {
    expect(bidirectionalWork(COUNTS, [2, 5])).toMatchObject({ kvTokens: 7, pairs: 29 });
  });
});

it('counts the operations of a prompt as the usual formula does', () => {
  // LLaMA 3.2 1B and 512 tokens: 2 · P · T + 2 · L · H · K · T², and the diagonal.
  const model = { weights: 973_078_528, layers: 16, heads: 32, headDim: 64 };
  const flops = forwardFlops(model, 512, (512 * 513) / 2);
  const formula = 2 * 973_078_528 * 512 + 2 * 16 * 32 * 64 * 512 ** 2;
  expect(flops).toBe(formula + 2 * 16 * 32 * 64 * 512);
});
