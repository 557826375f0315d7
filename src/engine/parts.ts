import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { EngineStats, WeightsReport } from './api.ts';
import type { Generator } from './generator.ts';
import type { KernelCheck } from './kernel_check.ts';
import type { GenerationDefaults, ModelFiles } from './model.ts';
import type { ResolvedLimits } from './limits.ts';
import type { ResolvedParams } from './params.ts';
import type { Tuner } from './tuner.ts';

/** What is known of a loaded model, whatever device it is on. */
export interface ModelFacts extends Pick<ModelFiles, 'name' | 'modelType' | 'parameters'> {
  readonly layers: number;
  readonly vocab: number;
  readonly defaults: GenerationDefaults;
  readonly weights: WeightsReport;
}

/** What a loaded engine is made of. Only the generator holds a device, because it may get another. */
export interface EngineParts {
  readonly model: ModelFacts;
  readonly tokenizer: Tokenizer;
  readonly generator: Generator;
  readonly limits: ResolvedLimits;
  readonly kernels: KernelCheck;
  readonly tuner: Tuner;
}

/** What a snapshot tells of a generator. */
export function describeGenerator(
  { scheduler, totals, recoveries }: Generator,
  { pageSize, pages }: ResolvedLimits,
): Pick<EngineStats, 'kvCache' | 'requests' | 'totals' | 'recoveries'> {
  return {
    kvCache: {
      pageSize,
      pages,
      usedPages: pages - scheduler.numFreeBlocks,
      cachedPages: scheduler.numCachedBlocks,
    },
    requests: { running: scheduler.numRunning, waiting: scheduler.numWaiting },
    totals,
    recoveries,
  };
}

/** An id as OpenAI's API has them: a prefix and letters. */
export function newId(prefix: string): string {
  return `${prefix}-${crypto.randomUUID().replaceAll('-', '')}`;
}

/**
 * Tokens a prompt may have. With `context_overflow: 'truncate'` room is left for the reply: as many tokens as it may
 * have, up to half of the context, or a quarter where it has no limit.
 */
export function overflowRoom(
  generator: Generator,
  { overflow, maxTokens }: ResolvedParams,
): number {
  const { capacity } = generator.scheduler;
  if (overflow === 'error') return Infinity;
  const half = Math.floor(capacity / 2);
  return capacity - Math.min(maxTokens ?? Math.floor(capacity / 4), half);
}
