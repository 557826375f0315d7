/** DeBERTa's attention in the self-test. @module */
import type { Device } from '../gpu/device.ts';
import type { DeviceTensor } from '../gpu/tensor.ts';
import { divCeil } from '../util/arith.ts';
import { attentionTileRows, type AttentionState } from './attention.ts';
import { chooseDisentangled, disentangledAttention } from './disentangled_attention.ts';
import { countsOf, floats, type SelfTestCase } from './self_test_case.ts';
import { random, uploadNumbers, uploadWords } from './self_test_data.ts';

/** Tokens of the sequences: a single one, a whole tile of keys, more than a tile of queries. */
const LENGTHS = [1, 16, 73] as const;
const TOKENS = LENGTHS.reduce((sum, length) => sum + length, 0);

/** Heads whose size is no multiple of 4; fewer distances than there are between tokens. */
const [HEADS, HEAD_DIM, REACH] = [2, 42, 20] as const;

/** Sequence and first token of each tile; see AttentionState. */
const TILES = LENGTHS.flatMap((length, sequence) =>
  Array.from(
    { length: length === 1 ? 0 : divCeil(length, attentionTileRows(HEAD_DIM)) },
    (_, i) => [sequence, i * attentionTileRows(HEAD_DIM)],
  ),
);

/** With keys and queries of positions, whose rows come in disorder. */
export function disentangledCase(): SelfTestCase {
  return {
    name: 'disentangled',
    variants: (facts) => (chooseDisentangled(facts) === 'tile' ? ['disentangled_tile'] : []),
    steps: [countsOf({ tokens: TOKENS, decodes: 1, tiles: TILES.length })],
    depth: Math.max(...LENGTHS),
    record(recorder) {
      const { device } = recorder;
      const dim = HEADS * HEAD_DIM;
      const distances = 2 * REACH + 1;
      const numbers = (rows: number, cols: number, seed: number) =>
        recorder.tensor(uploadNumbers(device, [rows, cols], random(rows * cols, seed)));
      // 7 has no divisor in common with the number of distances.
      const rows = Uint32Array.from({ length: distances }, (_, i) => (i * 7) % distances);
      return disentangledAttention(
        numbers(TOKENS, 3 * dim, 14),
        { keys: numbers(distances, dim, 15), queries: numbers(distances, dim, 16) },
        uploadWords(device, [distances], rows),
        wholeSequences(device),
        { heads: HEADS, headDim: HEAD_DIM, scale: 2 / Math.sqrt(3 * HEAD_DIM) },
      );
    },
    read: floats,
  };
}

function wholeSequences(device: Device): AttentionState {
  const words = (shape: readonly number[], values: readonly number[]): DeviceTensor =>
    uploadWords(device, shape, Uint32Array.from(values));
  const perToken = (value: (sequence: number, i: number) => number): DeviceTensor =>
    words(
      [TOKENS],
      LENGTHS.flatMap((length, s) => Array.from({ length }, (_, i) => value(s, i))),
    );
  let first = 0;
  const sequences = LENGTHS.flatMap((length) => {
    first += length;
    return [first - length, length, length, 0];
  });
  return {
    positions: perToken((_, i) => i),
    sequenceOf: perToken((s) => s),
    sequences: words([LENGTHS.length, 4], sequences),
    tiles: words([TILES.length, 2], TILES.flat()),
  };
}
