import type { DeviceFacts } from '../gpu/device.ts';
import { KV_DTYPES, kvBytesPerPage, type KvDType } from '../kernels/kv_cache.ts';
import type { Decoder } from '../models/family.ts';
import { divCeil } from '../util/arith.ts';
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
  /** Element type of the KV cache, default f16. */
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

/** Every size decided. */
export interface ResolvedLimits {
  readonly contextLength: number;
  readonly pages: number;
  readonly kvDtype: KvDType;
  readonly pageSize: number;
  readonly maxSequences: number;
  readonly tokenBudget: number;
  readonly maxInFlight: number;
  readonly measureGpuTime: boolean;
}

/** The most of each size that is not a slip of the pen. */
const MAXIMA = {
  contextLength: 2 ** 24,
  kvTokens: 2 ** 40,
  pageSize: 1024,
  maxSequences: 1024,
  tokenBudget: 2 ** 16,
  maxInFlight: 64,
} as const satisfies Partial<Record<keyof EngineLimits, number>>;

/** Longest context that an engine takes unasked, in tokens. */
export const DEFAULT_CONTEXT = 4096;

/**
 * Fills in the sizes that were not given and checks them against the model and the device.
 *
 * @throws {RequestError} if a size is no integer in its range, the KV type is unknown, or the context is longer than the
 *   model's
 * @throws {DeviceLimitError} if the KV cache does not fit in the device's bindings
 */
export function resolveLimits(
  limits: EngineLimits,
  { kv, maxPositions, rope }: Decoder,
  facts: DeviceFacts,
): ResolvedLimits {
  checkOptions(limits);
  const { kvDtype = 'f16', pageSize = 16, maxSequences = 8, maxInFlight = 2 } = limits;
  const contextLength = limits.contextLength ?? Math.min(maxPositions, DEFAULT_CONTEXT);
  // Dynamic scaling is for going past the trained length.
  if (contextLength > maxPositions && rope.scaling.type !== 'dynamic') {
    throw new RequestError(
      `load: contextLength is ${contextLength}, expected at most the model's max_position_embeddings ${maxPositions}`,
      { param: 'contextLength' },
    );
  }
  const tokenBudget = Math.max(limits.tokenBudget ?? (facts.isSoftware ? 64 : 256), maxSequences);

  const kvTokens = limits.kvTokens ?? 2 * contextLength;
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
    pages: Math.min(wanted, most),
    kvDtype,
    pageSize,
    maxSequences,
    tokenBudget,
    maxInFlight,
    measureGpuTime: limits.measureGpuTime ?? false,
  };
}

/** @throws {RequestError} if a size is no integer in its range, or the KV type is unknown */
export function checkOptions(limits: EngineLimits): void {
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
