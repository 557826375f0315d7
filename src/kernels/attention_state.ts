import { expectRows, lastAxis, type DeviceTensor } from '../gpu/tensor.ts';

/**
 * Where the tokens and sequences of a step lie, in step state; all u32.
 *
 * Sequences with exactly one token in the step come first, `counts.decodes` of them, and their tokens are the
 * first rows. A ring of pages must hold every key that a query of the step sees.
 */
export interface AttentionState {
  /** [maxTokens], position of each token in its sequence. */
  readonly positions: DeviceTensor;
  /** [maxTokens], sequence of each token. */
  readonly sequenceOf: DeviceTensor;
  /**
   * [maxSequences, 4]: first row, tokens in this step, keys including this step's, first page. Token i of a
   * sequence is at position keys − tokens + i; in cross-attention the keys are another text's, and it is at none.
   */
  readonly sequences: DeviceTensor;
  /**
   * [maxSequences, width]: the page with tokens pageSize · b ff. of a sequence is entry b % width. Absent: the
   * pages of a sequence follow each other from its first page, which nobody reads otherwise.
   */
  readonly tables?: DeviceTensor | undefined;
  /**
   * [maxTiles, 2]: sequence, first packed row. A sequence with n > 1 tokens has n · heads / kvHeads packed
   * rows, and a tile for every `attentionTileRows` of them.
   */
  readonly tiles: DeviceTensor;
}

/**
 * The binding `tables` and the slot TABLE of kernels that include `shaders/lib/kv_pages.wgsl`.
 *
 * @param where - operation for the message
 * @throws {ShapeError} if the tables have no rows, or there are neither tables nor sequences of four words
 */
export function pageTables(
  where: string,
  { tables, sequences }: AttentionState,
): { readonly tables: DeviceTensor; readonly width: number } {
  if (tables !== undefined) return { tables, width: lastAxis(`${where}: tables`, tables) };
  expectRows(`${where}: sequences`, sequences, 'u32', 4);
  return { tables: sequences, width: 0 };
}
