/** What the kernels of `attention` have in common. @module */
import type { Cost, Work } from '../gpu/cost.ts';
import { bytesAt } from '../gpu/cost.ts';
import type { DeviceFacts } from '../gpu/facts.ts';
import type { Recorder } from '../gpu/recorder.ts';
import type { Slots } from '../gpu/shader.ts';
import type { DeviceTensor, Tensor } from '../gpu/tensor.ts';
import type { AttentionState } from './attention_state.ts';
import { kvBytesPerPage, type KvDType, type KvLayer } from './kv_cache.ts';

/** What a choice among variants depends on beside the device. */
export interface AttentionShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Type of the cache. */
  readonly kv: KvDType;
  /** Whether there is a bias on the scores; default false. */
  readonly isBiased?: boolean;
}

/** What variants are chosen by. */
export type AttentionFacts = Pick<
  DeviceFacts,
  | 'hasSlowBarriers'
  | 'isSoftware'
  | 'vendor'
  | 'hasSubgroups'
  | 'subgroupMinSize'
  | 'subgroupMaxSize'
  | 'dropped'
  | 'tuned'
>;

/** One use of `attention`, checked. */
export interface AttentionCall {
  readonly recorder: Recorder;
  readonly shape: AttentionShape;
  readonly state: AttentionState;
  readonly kv: KvLayer;
  /** Slots that all kernels have. */
  readonly slots: Slots;
  /** Bindings that all kernels have. */
  readonly inputs: {
    readonly queries: Tensor;
    readonly keys: DeviceTensor;
    readonly values: DeviceTensor;
    readonly sequences: DeviceTensor;
    readonly tables: DeviceTensor;
    readonly bias: DeviceTensor;
  };
  readonly out: Tensor;
}

/** Shape and type in a word, as labels and keys of measurements have it. */
export function shapeName({ heads, kvHeads, headDim, kv }: AttentionShape): string {
  return `${heads}/${kvHeads}x${headDim} ${kv}`;
}

/**
 * What a dispatch costs: the queries, the results, and each key and value once.
 *
 * @param share - of the step's tokens that the dispatch is for; keys are counted by the step, so those of a step with
 *   both kinds of sequences are shared out by their tokens
 */
export function attentionCost(
  { shape, kv, inputs, out }: AttentionCall,
  { counts, kvTokens, pairs }: Work,
  share: number,
): Cost {
  const rows = bytesAt(inputs.queries, counts) + bytesAt(out, counts);
  const perToken = kvBytesPerPage(kv) / kv.pageSize;
  return {
    bytes: share * (rows + kvTokens * perToken),
    flops: share * 4 * pairs * shape.heads * shape.headDim,
  };
}
