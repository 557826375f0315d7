/**
 * Ids that the GPU hands from one step to the next, without the CPU in between.
 *
 * ```text
 *   │ slots: the id sampled last │ rows: what drafts' rows sample │ first draft of each slot │ second draft … │
 *   0                    maxSequences               … + maxRows
 * ```
 *
 * Rows of drafts have places of their own, since several belong to one slot; nothing reads these.
 *
 * @module
 */
import type { ResolvedLimits } from './limits.ts';

type Sizes = Pick<ResolvedLimits, 'maxSequences' | 'maxRows' | 'maxDrafts'>;

/** Ids in all. */
export function countLastTokens({ maxSequences, maxRows, maxDrafts }: Sizes): number {
  return maxDrafts === 0 ? maxSequences : maxSequences * (1 + maxDrafts) + maxRows;
}

/** Where a sample row that verifies a draft leaves its id. */
export function placeOfRow({ maxSequences }: Sizes, row: number): number {
  return maxSequences + row;
}

/** Where a draft model leaves the draft `index` of a slot. */
export function placeOfDraft(
  { maxSequences, maxRows }: Sizes,
  index: number,
  slot: number,
): number {
  return maxSequences * (1 + index) + maxRows + slot;
}
