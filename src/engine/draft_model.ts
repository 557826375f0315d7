/** The draft model of an engine: its files, and how it must go with the other. @module */
import type { DeviceFacts } from '../gpu/facts.ts';
import { DECODERS } from '../models/decoders.ts';
import type { Decoder } from '../models/family.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { ConfigError } from '../util/errors.ts';
import { resolveLimits, type ResolvedLimits } from './limits.ts';
import { readTokenizer, type OpenedModel } from './model.ts';
import { openFrom, type PlaceOptions } from './place.ts';
import type { ResolvedSpeculation } from './speculation_options.ts';

/**
 * Reads configuration and weight headers of the draft model, if there is one.
 *
 * @param tokenizer - of the other model
 * @throws {ConfigError} if its vocabulary is another one
 * @throws as {@link openFrom}
 */
export async function openDraft(
  { draft }: ResolvedSpeculation,
  tokenizer: Tokenizer,
  options: PlaceOptions,
): Promise<OpenedModel<Decoder> | undefined> {
  if (draft === undefined) return undefined;
  const { source, opened } = await openFrom(draft, DECODERS, options);
  const own = await readTokenizer(source, undefined, options.signal);
  // Without one it is taken to have the other's, which the size of its vocabulary must not belie.
  const size = own?.vocabSize ?? opened.config.size('vocab_size');
  const isSmaller = own === undefined && size < tokenizer.vocabSize;
  const id = own === undefined ? -1 : firstDifference(own, tokenizer);
  if (id < 0 && !isSmaller) return opened;
  const found = isSmaller
    ? `${size} tokens, expected at least the ${tokenizer.vocabSize} of the model it drafts for`
    : `token ${id} as ${JSON.stringify(own?.idToToken(id))}, expected ${JSON.stringify(tokenizer.idToToken(id))} as the model it drafts for`;
  throw new ConfigError(
    `speculation.draft: ${opened.name} has ${found}; choose a model of the same family, with the same tokenizer`,
    { key: 'vocab_size' },
  );
}

/**
 * Sizes of a draft model, whose cache holds as many tokens.
 *
 * @throws {DeviceLimitError} if that does not fit in the device's bindings
 */
export function limitsOfDraft(
  limits: ResolvedLimits,
  draft: Decoder,
  facts: DeviceFacts,
): ResolvedLimits {
  const { pages, pageSize, kvDtype, maxSequences, tokenBudget, maxInFlight } = limits;
  const contextLength = Math.min(limits.contextLength, draft.maxPositions);
  const sizes = { contextLength, kvTokens: pages * pageSize, kvDtype, pageSize };
  return resolveLimits({ ...sizes, maxSequences, tokenBudget, maxInFlight }, draft, facts);
}

/** The first id that stands for different tokens; -1 if the shorter vocabulary is the beginning of the other. */
function firstDifference(a: Tokenizer, b: Tokenizer): number {
  const size = Math.min(a.vocabSize, b.vocabSize);
  for (let id = 0; id < size; id += 1) if (a.idToToken(id) !== b.idToToken(id)) return id;
  return -1;
}
