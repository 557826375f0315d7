import { FEW_ROWS } from '../kernels/matmul.ts';
import { RequestError } from '../util/errors.ts';
import { describeValue, isRecord } from '../util/objects.ts';
import type { ModelLocation } from '../weights/sources/resolve.ts';
import type { ResolvedLimits } from './limits.ts';

/** A smaller model of the same vocabulary that guesses what the larger one will say. */
export interface DraftOptions {
  /** Where it is, as for `Engine.load`; with a worker only text or a directory handle. */
  readonly draft: ModelLocation;
  /** Most tokens it guesses at a time, 1 to 7; default 4. */
  readonly tokens?: number;
}

/**
 * Guesses the next tokens and has one step verify several. The text stays the same, token for token; it comes sooner where
 * guesses are often right and memory bandwidth is the limit. Where it does not pay it stops by itself, and tries again
 * later. `lookup` guesses that the last words go on as they did before: for texts that quote or repeat, such as edits,
 * summaries and code.
 */
export type SpeculationOption = 'off' | 'lookup' | DraftOptions;

/** Most tokens guessed at a time: with the one before them they are few rows to a matrix multiplication. */
const MAX_DRAFTS = FEW_ROWS - 1;
const DEFAULT_MODEL_DRAFTS = 4;

/** The option, checked. */
export interface ResolvedSpeculation {
  /** Tokens guessed at a time, at most; 0 is off. */
  readonly maxDrafts: number;
  /** Where the draft model is, if there is one. */
  readonly draft: ModelLocation | undefined;
}

/** @throws {RequestError} if the option is none */
export function resolveSpeculation(option: unknown): ResolvedSpeculation {
  switch (option) {
    case undefined:
    case 'off':
      return { maxDrafts: 0, draft: undefined };
    case 'lookup':
      return { maxDrafts: MAX_DRAFTS, draft: undefined };
  }
  if (!isDraft(option)) {
    throw new RequestError(
      `load: speculation is ${describeValue(option)}, expected 'off', 'lookup' or { draft: a model, tokens?: how many }`,
      { param: 'speculation' },
    );
  }
  const { draft, tokens = DEFAULT_MODEL_DRAFTS } = option;
  if (Number.isSafeInteger(tokens) && tokens >= 1 && tokens <= MAX_DRAFTS) {
    return { maxDrafts: tokens, draft };
  }
  throw new RequestError(
    `load: speculation.tokens is ${describeValue(tokens)}, expected an integer from 1 to ${MAX_DRAFTS}`,
    { param: 'speculation' },
  );
}

/** Makes room for drafts: as many rows as cost one reading of the weights, or as there are sequences. */
export function withDrafts(
  limits: ResolvedLimits,
  { maxDrafts }: ResolvedSpeculation,
): ResolvedLimits {
  if (maxDrafts === 0) return limits;
  return { ...limits, maxDrafts, maxRows: Math.max(limits.maxSequences, FEW_ROWS) };
}

function isDraft(option: unknown): option is DraftOptions {
  if (!isRecord(option)) return false;
  const { draft } = option;
  const isModel = typeof draft === 'string' ? draft !== '' : isObject(draft);
  // A slip in a name would go unnoticed.
  return isModel && Object.keys(option).every((name) => name === 'draft' || name === 'tokens');
}

function isObject(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && !(Array.isArray(value) && value.length === 0)
  );
}
