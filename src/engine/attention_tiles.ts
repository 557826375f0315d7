/** The region `tiles` of step state: see `AttentionState`. @module */
import { attentionTileRows } from '../kernels/attention.ts';
import type { KvSpec } from '../models/family.ts';
import { divCeil } from '../util/arith.ts';

type Heads = Pick<KvSpec, 'heads' | 'kvHeads' | 'headDim'>;

/** Most tiles that so many tokens of so many sequences are cut into: each sequence may begin one. */
export function maxTiles(
  { heads, kvHeads, headDim }: Heads,
  { tokens, sequences }: { readonly tokens: number; readonly sequences: number },
): number {
  const tileQueries = attentionTileRows(headDim) / (heads / kvHeads);
  return sequences + divCeil(tokens, tileQueries);
}

/**
 * Cuts the queries of a sequence into tiles and adds these to the `tiles` there are; none for a single query.
 *
 * @returns how many there are then
 */
export function addTiles(
  words: Uint32Array,
  tiles: number,
  { heads, kvHeads, headDim }: Heads,
  { sequence, count }: { readonly sequence: number; readonly count: number },
): number {
  if (count === 1) return tiles;
  const packedRows = (count * heads) / kvHeads;
  let next = tiles;
  for (let first = 0; first < packedRows; first += attentionTileRows(headDim)) {
    words[next * 2] = sequence;
    words[next * 2 + 1] = first;
    next += 1;
  }
  return next;
}
