/** The regions of a generator's step state. @module */
import type { Field } from '../gpu/state_buffer.ts';
import { BEAM_ROW_WORDS } from '../kernels/beam_candidates.ts';
import { SAMPLE_ROW_WORDS } from '../kernels/sample.ts';
import type { Decoder } from '../models/family.ts';
import { maxTiles } from './attention_tiles.ts';
import type { ResolvedLimits } from './limits.ts';

/**
 * Logit biases, or tokens in rules that do not follow from its text, that a request may have. OpenAI's API has no stated
 * limit; clients send a few.
 */
export const MAX_LOGIT_BIAS = 512;

export type StepRegion =
  | 'counts'
  | 'samplerRows'
  | 'beamRows'
  | 'sequences'
  | 'crossSequences'
  | 'sampleRows'
  | 'tables'
  | 'crossTables'
  | 'copies'
  | 'ruleTokens'
  | 'ruleValues'
  | 'tiles'
  | 'positions'
  | 'sequenceOf'
  | 'positionIds'
  | 'tokens'
  | `rotary${number}`;

/** Entries of the rows that say where a sequence's pages are. */
export interface TableWidths {
  readonly tableWidth: number;
  /** Of the pages of its encoder output; 0 if there is no encoder. */
  readonly crossTableWidth: number;
}

/** Every region and its shape, in the order they lie in memory. */
export function stepFields(
  decoder: Decoder,
  limits: ResolvedLimits,
  { tableWidth, crossTableWidth }: TableWidths,
): Readonly<Record<StepRegion, Field>> {
  const { maxSequences, maxRows, tokenBudget, contextLength, inputLength } = limits;
  const u32 = (...shape: readonly number[]) => ({ dtype: 'u32', shape }) as const;
  const tiles = maxTiles(decoder.kv, { tokens: tokenBudget, sequences: maxSequences });
  // An encoder-decoder's rules can name each token of its texts, too.
  const texts = crossTableWidth > 0 ? contextLength + inputLength : 0;
  const maxRules = maxSequences * Math.min(decoder.vocab, texts + MAX_LOGIT_BIAS);
  return {
    counts: u32(8),
    samplerRows: u32(maxRows, SAMPLE_ROW_WORDS),
    beamRows: u32(maxRows, BEAM_ROW_WORDS),
    sequences: u32(maxRows, 4),
    crossSequences: u32(maxRows, 4),
    sampleRows: u32(Math.max(maxRows, tokenBudget)),
    tables: u32(maxRows, tableWidth),
    crossTables: u32(maxRows, Math.max(1, crossTableWidth)),
    copies: u32(maxSequences, 2),
    tiles: u32(tiles, 2),
    positions: u32(tokenBudget),
    sequenceOf: u32(tokenBudget),
    positionIds: u32(tokenBudget),
    tokens: u32(tokenBudget),
    ...rotaryFields(decoder, tokenBudget),
    // Last, because most steps have none and need not send them.
    ruleTokens: u32(maxRules),
    ruleValues: { dtype: 'f32', shape: [maxRules] },
  };
}

function rotaryFields(
  { ropes }: Decoder,
  tokens: number,
): Readonly<Record<`rotary${number}`, Field>> {
  return Object.fromEntries(
    ropes.map(({ rotaryDim }, i): [`rotary${number}`, Field] => [
      `rotary${i}`,
      { dtype: 'f32', shape: [tokens, rotaryDim / 2, 2] },
    ]),
  );
}
