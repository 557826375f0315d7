import { expect, it } from 'vitest';
import type { AttentionVariant } from '../../src/kernels/attention.ts';
import { ShapeError } from '../../src/util/errors.ts';
import { attentionError, runAttention, singles } from '../support/attention_run.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';

/** One query, and many: at page borders, from an empty cache, in chunks. */
const MIXED = [
  ...singles(1, 15, 16, 17, 150),
  { queries: 2, keys: 2 },
  { queries: 17, keys: 17 },
  { queries: 3, keys: 35 },
  { queries: 40, keys: 57 },
];

const ON_GPU = { one: 'split', many: 'tile_1x8' } as const;
const ON_CPU = { one: 'lanes', many: 'tile_8x8' } as const;

/** Large heads take long to compile, so each shape is run by one of the variants. */
const HEADS = [
  { heads: 71, kvHeads: 1, headDim: 1, variant: ON_CPU },
  { heads: 6, kvHeads: 2, headDim: 16, variant: ON_GPU },
  { heads: 5, kvHeads: 1, headDim: 24, variant: ON_CPU },
  { heads: 4, kvHeads: 2, headDim: 40, dtype: 'f16', variant: ON_CPU },
  { heads: 2, kvHeads: 1, headDim: 80, variant: ON_GPU },
  { heads: 4, kvHeads: 1, headDim: 128, variant: ON_GPU },
] as const;

/** Those for which features and limits matter: numbers of 16 bits, and the most workgroup memory. */
const DEMANDING_HEADS = [
  { heads: 4, kvHeads: 2, headDim: 64, dtype: 'f16', variant: ON_GPU },
  { heads: 5, kvHeads: 1, headDim: 255, variant: ON_GPU },
] as const;

/** Each variant once. */
const VARIANTS: readonly AttentionVariant[] = [
  'direct',
  ON_GPU,
  ON_CPU,
  { one: 'split', many: 'tile_2x8' },
  { one: 'split', many: 'tile_4x4' },
  { one: 'lanes', many: 'tile_4x8' },
];

/** A ring of 9 pages is just long enough for the window tests; 250 keys go round it almost twice. */
const WINDOWED = { heads: 4, kvHeads: 2, headDim: 16, tableWidth: 9 };

describeOnAdapters('attention', (open) => {
  it.each(DEMANDING_HEADS)('$heads heads on $kvHeads of $headDim', async (shape) => {
    expect(await attentionError(await open(), { ...shape, sequences: MIXED })).toBeLessThan(2e-6);
  });

  it.each(VARIANTS)('%j runs on any adapter', async (variant) => {
    const device = await open();
    const shape = { heads: 6, kvHeads: 2, headDim: 16, sequences: MIXED, splits: 3, variant };
    expect(await attentionError(device, shape)).toBeLessThan(2e-6);
  });

  it.each(['direct', ON_GPU, ON_CPU] as const)('%j reads a cache of 8 bits', async (variant) => {
    const device = await open();
    const shape = { heads: 5, kvHeads: 1, headDim: 10, dtype: 'q8', variant } as const;
    const error = await attentionError(device, {
      ...shape,
      sequences: MIXED,
      splits: 3,
      pageSize: 5,
    });
    expect(error).toBeLessThan(2e-6);
  });

  it('refuses shapes that do not fit', async () => {
    const device = await open();
    const c = { heads: 4, kvHeads: 3, headDim: 8, sequences: singles(1) };
    await expect(runAttention(device, c)).rejects.toThrow(ShapeError);
    await expect(runAttention(device, { ...c, kvHeads: 4, headDim: 260 })).rejects.toThrow(
      /headDim is 260/,
    );
    await expect(runAttention(device, { ...c, kvHeads: 4, window: 0 })).rejects.toThrow(
      /window is 0/,
    );
  });
});

describeOnAdapters(
  'attention',
  (open) => {
    it.each(HEADS)('$heads heads on $kvHeads of $headDim', async (shape) => {
      expect(await attentionError(await open(), { ...shape, sequences: MIXED })).toBeLessThan(2e-6);
    });
  },
  'one device',
);

describeOnAdapters(
  'attention',
  (open) => {
    it('cuts the keys into any number of pieces', async () => {
      const device = await open();
      const sequences = [...singles(1, 16, 17, 33, 129, 300), { queries: 4, keys: 20 }];
      for (const splits of [1, 2, 3, 5, 8, 16]) {
        const error = await attentionError(device, {
          heads: 6,
          kvHeads: 2,
          headDim: 16,
          sequences,
          splits,
        });
        expect(error, `${splits} pieces`).toBeLessThan(2e-6);
      }
    });

    it.each([1, 7, 100])('sees a window of %i keys in a ring of pages', async (window) => {
      const device = await open();
      const sequences = [
        ...singles(1, 7, 8, 64, 250),
        { queries: 30, keys: 30 },
        { queries: 21, keys: 150 },
      ];
      for (const splits of [1, 4]) {
        const shape = { ...WINDOWED, splits };
        expect(await attentionError(device, { ...shape, sequences, window })).toBeLessThan(2e-6);
      }
    });

    it('reads pages of any size', async () => {
      const device = await open();
      for (const pageSize of [5, 64]) {
        const shape = { heads: 2, kvHeads: 2, headDim: 10, splits: 2, pageSize };
        expect(await attentionError(device, { ...shape, sequences: MIXED })).toBeLessThan(2e-6);
      }
    });

    it('survives scores of some ten thousands', async () => {
      // Scores as large are known to about 1e-3 in f32, and so are the probabilities.
      const device = await open();
      for (const splits of [1, 3]) {
        const shape = { heads: 6, kvHeads: 2, headDim: 16, splits, range: 120 };
        expect(await attentionError(device, { ...shape, sequences: MIXED })).toBeLessThan(1e-2);
      }
    });

    it('gives a query the same bits in whatever chunk it comes', async () => {
      const device = await open();
      const shape = { ...WINDOWED, window: 7 };
      const whole = await runAttention(device, {
        ...shape,
        sequences: [{ queries: 140, keys: 140 }],
      });
      for (const queries of [2, 37]) {
        const part = await runAttention(device, { ...shape, sequences: [{ queries, keys: 140 }] });
        expect(part.actual).toEqual(whole.actual.slice(-queries * 4 * 16));
      }
    });
  },
  'full devices',
);
