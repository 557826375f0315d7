import { describe, expect, it } from 'vitest';
import { ropeFrequencies, ropeLength, RopeTable } from '../../../src/nn/rope.ts';
import type { RopeConfig, RopeScaling } from '../../../src/nn/rope.ts';

const rope = (rotaryDim: number, scaling: RopeScaling, theta = 10000): RopeConfig => ({
  theta,
  rotaryDim,
  scaling,
});
const DYNAMIC: RopeScaling = { type: 'dynamic', factor: 2, maxPositions: 32 };
const LLAMA3: RopeScaling = {
  type: 'llama3',
  factor: 8,
  lowFreqFactor: 1,
  highFreqFactor: 4,
  originalPositions: 8192,
};
const YARN: RopeScaling = {
  type: 'yarn',
  factor: 4,
  originalPositions: 2048,
  betaFast: 32,
  betaSlow: 1,
  truncate: true,
  attentionFactor: 1.25,
};

/** From a transcription of Transformers' modeling_rope_utils.py (4.57) in float64. */
const CASES: readonly (readonly [string, RopeConfig, number, readonly number[]])[] = [
  ['default', rope(8, { type: 'default' }), 0, [1, 0.1, 0.01, 0.001]],
  ['linear', rope(8, { type: 'linear', factor: 4 }), 0, [0.25, 0.025, 0.0025, 0.00025]],
  ['dynamic, within the trained length', rope(8, DYNAMIC), 20, [1, 0.1, 0.01, 0.001]],
  [
    'dynamic, past the trained length',
    rope(8, DYNAMIC),
    80,
    [1, 0.0629960524947, 0.00396850262992, 0.00025],
  ],
  [
    'llama3: high, blended and low frequencies',
    rope(16, LLAMA3, 500000),
    0,
    [
      1, 0.193922744749, 0.0376060309309, 0.00729266473722, 0.000524846160993, 3.42810219595e-5,
      6.64786987118e-6, 1.28917317215e-6,
    ],
  ],
  [
    'yarn',
    rope(16, YARN),
    0,
    [1, 0.316227766017, 0.1, 0.0256935059889, 0.00625, 0.00138349647632, 0.00025, 7.90569415042e-5],
  ],
  [
    'yarn, the ramp not cut to whole dimensions',
    rope(16, { ...YARN, truncate: false }),
    0,
    [
      1, 0.316227766017, 0.1, 0.0238701923217, 0.00505697152113, 0.000811290381701, 0.00025,
      7.90569415042e-5,
    ],
  ],
  ['yarn, a ramp of no width', rope(4, { ...YARN, originalPositions: 4 }), 0, [1, 0.0025]],
];

describe('ropeFrequencies', () => {
  it.each(CASES)('%s', (_, config, length, expected) => {
    const actual = ropeFrequencies(config, length);
    expect(actual).toHaveLength(expected.length);
    for (const [i, want] of expected.entries()) {
      expect(Math.abs((actual[i] ?? Number.NaN) / want - 1)).toBeLessThan(1e-11);
    }
  });
});

describe('ropeLength', () => {
  it('matters to dynamic scaling past the trained length only', () => {
    const lengths = [1, 32, 33, 500];
    expect(lengths.map((n) => ropeLength(rope(8, DYNAMIC), n))).toEqual([32, 32, 33, 500]);
    for (const scaling of [LLAMA3, YARN, { type: 'default' } as const]) {
      expect(lengths.map((n) => ropeLength(rope(8, scaling), n))).toEqual([0, 0, 0, 0]);
    }
  });
});

describe('RopeTable', () => {
  it('writes cos and sin of each pair in the row of its token, and nothing else', () => {
    const table = new RopeTable(rope(4, { type: 'default' }));
    expect(table.width).toBe(4);
    const out = new Float32Array(12).fill(9);
    table.write(3, 4, out, 1);
    const want = [-0.9899924966, 0.14112000806, 0.999550033749, 0.0299955002025];
    expect([...out.subarray(0, 4), ...out.subarray(8)]).toEqual(Array(8).fill(9));
    for (const [i, value] of want.entries()) expect(out[4 + i]).toBeCloseTo(value, 6);
  });

  it('keeps the precision of float64 angles at large positions', () => {
    const table = new RopeTable(rope(2, { type: 'default' }));
    const out = new Float32Array(2);
    table.write(1_000_003, 1_000_004, out, 0);
    expect(out[0]).toBe(Math.fround(Math.cos(1_000_003)));
    expect(out[1]).toBe(Math.fround(Math.sin(1_000_003)));
  });

  it('multiplies by the attention factor of yarn', () => {
    const out = new Float32Array(16);
    new RopeTable(rope(16, YARN)).write(0, 1, out, 0);
    expect([...out]).toEqual(Array.from({ length: 16 }, (_, i) => (i % 2 === 0 ? 1.25 : 0)));
  });

  it('gives the same row whatever lengths were asked for before', () => {
    const row = (table: RopeTable, position: number, length: number): number[] => {
      const out = new Float32Array(8);
      table.write(position, length, out, 0);
      return [...out];
    };
    const shared = new RopeTable(rope(8, DYNAMIC));
    const moments = [
      [5, 6],
      [5, 32],
      [40, 41],
      [5, 41],
      [41, 42],
      [5, 6],
      [40, 100],
    ] as const;
    for (const [position, length] of moments) {
      const alone = row(new RopeTable(rope(8, DYNAMIC)), position, length);
      expect(row(shared, position, length)).toEqual(alone);
    }
    expect(row(shared, 5, 6)).toEqual(row(shared, 5, 32));
    expect(row(shared, 5, 6)).not.toEqual(row(shared, 5, 41));
  });
});
