/**
 * Attention as encoders and encoder-decoders need it: to both sides, by distance, and to another text.
 * attention.test.ts runs its kernels without optional features, and all of them on every adapter.
 */
import { expect, it, type TestContext } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import type { AttentionVariant } from '../../src/kernels/attention.ts';
import { attentionError, runAttention, singles } from '../support/attention_run.ts';
import type { SequenceSpec } from '../support/attention_step.ts';
import { describeOnAdapters } from '../support/on_adapters.ts';

/** Whole sequences, as in a step of an encoder. */
const whole = (...lengths: readonly number[]): SequenceSpec[] =>
  lengths.map((length) => ({ queries: length, keys: length }));

/** A page is 16 tokens, a tile of keys too, and a tile of queries at most 128. */
const TEXTS = whole(1, 1, 2, 16, 17, 130, 41);

const ENCODER = { heads: 6, kvHeads: 2, headDim: 6, sees: 'around', isConsecutive: true } as const;
const VARIANTS = [
  'direct',
  { one: 'split', many: 'tile_1x8' },
  { one: 'lanes', many: 'tile_8x8' },
] as const;

/** In f32 as in f64, to some roundings. */
const EXACT = 2e-6;

function skipUnchosen({ facts }: Device, variant: AttentionVariant, context: TestContext): void {
  if (variant === 'direct' || !facts.hasSlowBarriers) return;
  context.skip('barriers compile for many seconds here, and are never chosen');
}

describeOnAdapters(
  'attention of an encoder',
  (open) => {
    it.for(VARIANTS)(
      '%j: sees all keys of the sequence, and no other',
      async (variant, context) => {
        const device = await open();
        skipUnchosen(device, variant, context);
        const error = await attentionError(device, { ...ENCODER, sequences: TEXTS, variant });
        expect(error).toBeLessThan(EXACT);
      },
    );

    it.for(VARIANTS)(
      '%j: sees a window to both sides, through tables too',
      async (variant, context) => {
        const device = await open();
        skipUnchosen(device, variant, context);
        for (const [window, isConsecutive] of [
          [0, false],
          [20, true],
        ] as const) {
          const shape = {
            heads: 5,
            kvHeads: 5,
            headDim: 13,
            sees: 'around',
            isConsecutive,
          } as const;
          const error = await attentionError(device, {
            ...shape,
            window,
            sequences: TEXTS,
            variant,
          });
          expect(error, `window ${window}`).toBeLessThan(EXACT);
        }
      },
    );

    it.for(VARIANTS)('%j: adds a bias by distance', async (variant, context) => {
      const device = await open();
      skipUnchosen(device, variant, context);
      for (const [reach, window] of [
        [3, undefined],
        [150, 40],
      ] as const) {
        const shape = { ...ENCODER, scale: 1, reach, ...(window && { window }) };
        const error = await attentionError(device, { ...shape, sequences: TEXTS, variant });
        expect(error, `reach ${reach}`).toBeLessThan(EXACT);
      }
    });

    it('gives a text the same bits alone and beside others', async () => {
      const device = await open();
      const shape = { ...ENCODER, reach: 3, scale: 1 };
      const beside = await runAttention(device, { ...shape, sequences: whole(130, 3, 41) });
      const alone = await runAttention(device, { ...shape, sequences: whole(130) });
      expect(beside.actual.slice(0, alone.actual.length)).toEqual(alone.actual);
    });
  },
  'full devices',
);

describeOnAdapters(
  'attention of a decoder with a relative bias',
  (open) => {
    it.for(VARIANTS)(
      '%j: sees what came before, in chunks and pieces',
      async (variant, context) => {
        const device = await open();
        skipUnchosen(device, variant, context);
        const sequences = [
          ...singles(1, 16, 17, 300),
          { queries: 2, keys: 2 },
          { queries: 3, keys: 35 },
          { queries: 40, keys: 57 },
        ];
        const shape = { heads: 6, kvHeads: 6, headDim: 6, scale: 1, reach: 20, sequences, variant };
        for (const splits of variant === 'direct' ? [1] : [1, 3]) {
          expect(await attentionError(device, { ...shape, splits })).toBeLessThan(EXACT);
        }
      },
    );
  },
  'full devices',
);

describeOnAdapters(
  'cross-attention',
  (open) => {
    /** Decoding, and starting: with fewer and with more queries than keys, fewer keys than pieces. */
    const sequences = [
      ...singles(1, 16, 17, 129, 300),
      { queries: 2, keys: 300 },
      { queries: 40, keys: 3 },
      { queries: 5, keys: 1 },
    ];

    it.for(VARIANTS)('%j: sees the keys of another text', async (variant, context) => {
      const device = await open();
      skipUnchosen(device, variant, context);
      for (const [headDim, dtype] of [
        [6, 'f32'],
        [64, 'f16'],
      ] as const) {
        const shape = { heads: 5, kvHeads: 5, headDim, dtype, sees: 'other', sequences } as const;
        for (const splits of variant === 'direct' ? [1] : [1, 16]) {
          const error = await attentionError(device, { ...shape, splits, variant });
          expect(error, `${headDim} dims, ${splits} pieces`).toBeLessThan(EXACT);
        }
      }
    });
  },
  'full devices',
);

describeOnAdapters(
  'attention with a bias or window that does not fit',
  (open) => {
    it('is refused', async () => {
      const device = await open();
      const shape = { ...ENCODER, sequences: whole(3) };
      await expect(runAttention(device, { ...shape, window: -1 })).rejects.toThrow(
        /window is -1, expected at least 0/,
      );
      await expect(runAttention(device, { ...shape, reach: 2, biasHeads: 5 })).rejects.toThrow(
        /bias is f32 \[5, 5\], expected f32 \[5, 6\]/,
      );
    });
  },
  'full devices',
);
