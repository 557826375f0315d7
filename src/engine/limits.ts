import type { DeviceFacts } from '../gpu/facts.ts';
import { KV_DTYPES, kvBytesPerPage, type KvDType } from '../kernels/kv_cache.ts';
import type { Decoder, TokenModel } from '../models/family.ts';
import { divCeil, nextPowerOfTwo } from '../util/arith.ts';
import { DeviceLimitError, RequestError } from '../util/errors.ts';
import { describeValue } from '../util/objects.ts';

/** Sizes an engine is set up with. All optional; the defaults suit a page with a few conversations. */
export interface EngineLimits {
  /**
   * Most tokens of a prompt and its reply; default: the model's own, at most 4096. May be longer than the model's own
   * only where its RoPE scaling is dynamic.
   */
  readonly contextLength?: number;
  /** Tokens the KV cache holds for all requests and reusable prefixes; default: two contexts. */
  readonly kvTokens?: number;
  /** Element type of the KV cache, default f16; q8, with a scale for each token and head, takes about half of that. */
  readonly kvDtype?: KvDType;
  /** Tokens per page of the KV cache, default 16. Prefixes are shared in whole pages. */
  readonly pageSize?: number;
  /** Requests that run at once, default 8; others wait. */
  readonly maxSequences?: number;
  /**
   * Most tokens computed in one step, default 256, or 64 on software adapters; longer prompts are cut so that running
   * replies go on meanwhile.
   */
  readonly tokenBudget?: number;
  /** Steps submitted before the first one's results are read, default 2. */
  readonly maxInFlight?: number;
  /** Measures GPU time for `stats().totals.gpuMs`, at the price of one more read-back per step. Default false. */
  readonly measureGpuTime?: boolean;
}

/** Sizes an encoder-decoder is set up with; `contextLength` is of the decoder, and at most 512 by default. */
export interface Seq2SeqLimits extends EngineLimits {
  /** Most tokens of a text to read; default: the model's own, at most 1024. */
  readonly inputLength?: number;
}

/** Every size decided. */
export interface ResolvedLimits {
  /** Most tokens of an encoder's input; 0 if there is no encoder. */
  readonly inputLength: number;
  /** Most tokens of encoders' inputs in one step; a longer one is alone in its step. */
  readonly encoderBudget: number;
  readonly contextLength: number;
  readonly pages: number;
  readonly kvDtype: KvDType;
  readonly pageSize: number;
  readonly maxSequences: number;
  /** Sequences in a step, where each draft of a token counts as one; at least `maxSequences`. */
  readonly maxRows: number;
  /** Tokens of a request that are drafted at a time; 0 without speculation. */
  readonly maxDrafts: number;
  readonly tokenBudget: number;
  readonly maxInFlight: number;
  readonly measureGpuTime: boolean;
}

/** The most of each size that is not a slip of the pen. */
const MAXIMA = {
  contextLength: 2 ** 24,
  inputLength: 2 ** 24,
  kvTokens: 2 ** 40,
  pageSize: 1024,
  maxSequences: 1024,
  tokenBudget: 2 ** 16,
  maxInFlight: 64,
} as const satisfies Partial<Record<keyof Seq2SeqLimits, number>>;

/** Longest context that an engine takes unasked, in tokens. */
export const DEFAULT_CONTEXT = 4096;
/** The same of an encoder-decoder's decoder and encoder: one is given a text and makes a shorter one. */
export const DEFAULT_OUTPUT = 512;
export const DEFAULT_INPUT = 1024;

/**
 * Fills in the sizes that were not given and checks them against the model and the device.
 *
 * @param encoder - of an encoder-decoder; its keys and values share the cache
 * @throws {RequestError} if a size is no integer in its range, the KV type is unknown, or the context is longer than the
 *   model's
 * @throws {DeviceLimitError} if the KV cache does not fit in the device's bindings
 */
export function resolveLimits(
  limits: Seq2SeqLimits,
  { kv, maxPositions, ropes }: Pick<Decoder, 'kv' | 'maxPositions' | 'ropes'>,
  facts: DeviceFacts,
  encoder?: Pick<TokenModel, 'maxPositions' | 'ropes'>,
): ResolvedLimits {
  checkOptions(limits);
  const { kvDtype = 'f16', pageSize = 16, maxSequences = 8, maxInFlight = 2 } = limits;
  const defaultContext = encoder === undefined ? DEFAULT_CONTEXT : DEFAULT_OUTPUT;
  const contextLength = limits.contextLength ?? Math.min(maxPositions, defaultContext);
  checkLength('contextLength', contextLength, { maxPositions, ropes });
  const inputLength = encoder === undefined ? 0 : resolveInput(limits, encoder);
  const tokenBudget = Math.max(limits.tokenBudget ?? (facts.isSoftware ? 64 : 256), maxSequences);

  const paged = (tokens: number): number => divCeil(tokens, pageSize) * pageSize;
  // Two conversations; or four beams and a text that waits.
  const kvTokens =
    limits.kvTokens ??
    (encoder === undefined
      ? 2 * paged(contextLength)
      : 4 * paged(contextLength) + 2 * paged(inputLength));
  const most = maxPages(kvBytesPerPage({ ...kv, pageSize, dtype: kvDtype }), facts);
  const wanted = divCeil(kvTokens, pageSize);
  if (most === 0 || (wanted > most && limits.kvTokens !== undefined)) {
    throw new DeviceLimitError(
      'maxStorageBufferBindingSize',
      facts.limits.maxStorageBufferBindingSize,
      (kvBytesPerPage({ ...kv, pageSize, dtype: kvDtype }) / 2) * wanted,
      `a KV cache of ${kvTokens} tokens does not fit; choose kvTokens ≤ ${most * pageSize}`,
    );
  }
  return {
    contextLength,
    inputLength,
    // No more than the scratch memory that the longest input has anyway.
    encoderBudget: Math.min(encoderBudget(facts), nextPowerOfTwo(Math.max(1, inputLength))),
    pages: Math.min(wanted, most),
    kvDtype,
    pageSize,
    maxSequences,
    maxRows: maxSequences,
    maxDrafts: 0,
    tokenBudget,
    maxInFlight,
    measureGpuTime: limits.measureGpuTime ?? false,
  };
}

function resolveInput(
  { inputLength }: Seq2SeqLimits,
  encoder: Pick<TokenModel, 'maxPositions' | 'ropes'>,
): number {
  const length = inputLength ?? Math.min(encoder.maxPositions, DEFAULT_INPUT);
  checkLength('inputLength', length, encoder);
  return length;
}

/** Tokens of an encoder's step: enough to fill a GPU, and no longer than others may wait on a processor. */
export function encoderBudget({ isSoftware }: Pick<DeviceFacts, 'isSoftware'>): number {
  return isSoftware ? 256 : 2048;
}

/** @throws {RequestError} if a sequence may be longer than the model was made for */
function checkLength(
  name: 'contextLength' | 'inputLength',
  length: number,
  { maxPositions, ropes }: Pick<TokenModel, 'maxPositions' | 'ropes'>,
): void {
  // Dynamic scaling is for going past the trained length.
  if (length <= maxPositions || ropes.some(({ scaling }) => scaling.type === 'dynamic')) return;
  throw new RequestError(
    `load: ${name} is ${length}, expected at most the model's max_position_embeddings ${maxPositions}`,
    { param: name },
  );
}

/** @throws {RequestError} if a size is no integer in its range, or the KV type is unknown */
export function checkOptions(limits: Seq2SeqLimits): void {
  for (const [name, most] of Object.entries(MAXIMA)) {
    const value: unknown = { ...limits }[name];
    if (value === undefined) continue;
    if (!Number.isSafeInteger(value) || Number(value) < 1 || Number(value) > most) {
      throw new RequestError(
        `load: ${name} is ${describeValue(value)}, expected an integer from 1 to ${most}`,
        { param: name },
      );
    }
  }
  const { kvDtype = 'f16' } = limits;
  if (!KV_DTYPES.includes(kvDtype)) {
    throw new RequestError(
      `load: kvDtype is ${describeValue(kvDtype)}, expected one of: ${KV_DTYPES.join(', ')}`,
      { param: 'kvDtype' },
    );
  }
}

/** Pages of a layer's keys, or values, that one binding can hold; `pageBytes` is of both together. */
function maxPages(pageBytes: number, { limits }: DeviceFacts): number {
  return Math.floor((2 * limits.maxStorageBufferBindingSize) / pageBytes);
}
