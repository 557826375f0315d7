import { describe, expect, it } from 'vitest';
import { groupsOf } from '../../../src/gpu/kernel.ts';
import { MemoryLedger } from '../../../src/gpu/memory.ts';
import {
  capacityOf,
  expectRows,
  expectShape,
  lastAxis,
  sizeOf,
  type DeviceTensor,
  type DType,
  type Extent,
} from '../../../src/gpu/tensor.ts';
import { ShapeError } from '../../../src/util/errors.ts';

const TOKENS = { count: 'tokens', capacity: 8 } as const;

function tensor(dtype: DType, ...shape: readonly Extent[]): DeviceTensor {
  const buffer = {} as GPUBuffer;
  const sizeBytes = sizeOf(dtype, shape);
  return { dtype, shape, sizeBytes, memory: { kind: 'buffer', buffer, offset: 0 } };
}

describe('sizeOf', () => {
  it('counts bytes at capacity, in whole words', () => {
    expect(sizeOf('f32', [3, 5])).toBe(60);
    expect(sizeOf('f16', [3, 5])).toBe(32);
    expect(sizeOf('bf16', [1])).toBe(4);
    expect(sizeOf('u32', [TOKENS, 2])).toBe(64);
    expect(sizeOf('i32', [])).toBe(4);
    expect(sizeOf('f32', [4, 0])).toBe(0);
  });

  it('is exact where 32-bit arithmetic would wrap', () => {
    expect(sizeOf('f32', [262_144, 4096])).toBe(2 ** 32);
  });
});

describe('expectRows', () => {
  it('returns the first extent, fixed or of the step', () => {
    expect(expectRows('op: x', tensor('f32', 3, 5), 'f32', 5)).toBe(3);
    expect(expectRows('op: x', tensor('f32', TOKENS, 5, 2), 'f32', 5, 2)).toBe(TOKENS);
    expect(expectRows('op: x', tensor('u32', TOKENS), 'u32')).toBe(TOKENS);
  });

  it.each([
    [tensor('f32', 3, 5), 'f32', [6], 'op: x is f32 [3, 5], expected f32 [rows, 6]'],
    [tensor('f16', 3, 5), 'f32', [5], 'op: x is f16 [3, 5], expected f32 [rows, 5]'],
    [tensor('f32', 5), 'f32', [5], 'op: x is f32 [5], expected f32 [rows, 5]'],
    [tensor('f32', 3, 5, 1), 'f32', [5], 'op: x is f32 [3, 5, 1], expected f32 [rows, 5]'],
    [tensor('u32', TOKENS, 2), 'u32', [], 'op: x is u32 [tokens ≤ 8, 2], expected u32 [rows]'],
    [tensor('f32'), 'f32', [], 'op: x is f32 [], expected f32 [rows]'],
  ] as const)('says what it found', (given, dtype, sizes, message) => {
    expect(() => expectRows('op: x', given, dtype, ...sizes)).toThrow(new ShapeError(message));
  });
});

describe('expectShape', () => {
  it('accepts equal extents, whoever made them', () => {
    expectShape('op: w', tensor('f32', 4, 5), 'f32', [4, 5]);
    expectShape('op: w', tensor('f32', TOKENS, 5), 'f32', [{ ...TOKENS }, 5]);
  });

  it.each([
    [tensor('f32', 5), [6], 'op: w is f32 [5], expected f32 [6]'],
    [tensor('f32', 5), [5, 1], 'op: w is f32 [5], expected f32 [5, 1]'],
    [tensor('u32', 5), [5], 'op: w is u32 [5], expected f32 [5]'],
    [tensor('f32', TOKENS), [8], 'op: w is f32 [tokens ≤ 8], expected f32 [8]'],
    [
      tensor('f32', TOKENS),
      [{ count: 'samples', capacity: 8 }],
      'op: w is f32 [tokens ≤ 8], expected f32 [samples ≤ 8]',
    ],
  ] as const)('says what it found', (given, shape, message) => {
    expect(() => expectShape('op: w', given, 'f32', shape)).toThrow(new ShapeError(message));
  });
});

describe('lastAxis', () => {
  it('is the row size', () => {
    expect(lastAxis('op: x', tensor('f32', TOKENS, 7))).toBe(7);
  });

  it('needs rows', () => {
    expect(() => lastAxis('op: x', tensor('f32', 7))).toThrow(
      new ShapeError('op: x is f32 [7], expected [rows, size]'),
    );
  });
});

describe('groupsOf', () => {
  it('covers what is fixed now and what varies later', () => {
    expect(groupsOf(0, 64)).toBe(0);
    expect(groupsOf(64, 64)).toBe(1);
    expect(groupsOf(65, 64)).toBe(2);
    expect(groupsOf(TOKENS, 3)).toEqual({ extent: TOKENS, per: 3 });
    expect(capacityOf(TOKENS)).toBe(8);
  });
});

describe('MemoryLedger', () => {
  it('adds up by purpose', () => {
    const ledger = new MemoryLedger();
    ledger.add('kv', 100);
    ledger.add('weights', 7);
    ledger.add('kv', -40);
    expect(ledger.report()).toEqual({
      weights: 7,
      kv: 60,
      scratch: 0,
      state: 0,
      readback: 0,
      total: 67,
    });
    ledger.clear();
    expect(ledger.report().total).toBe(0);
  });
});
