/** Attention of one query per sequence: decoding. @module */
import { defineKernel, type GridAxis, type Kernel } from '../gpu/kernel.ts';
import { capacityOf, type CountName } from '../gpu/tensor.ts';
import type { DeviceFacts } from '../gpu/facts.ts';
import type { Slots } from '../gpu/shader.ts';
import { divCeil } from '../util/arith.ts';
import { ShapeError } from '../util/errors.ts';
import combineSource from '../../shaders/attention_combine.wgsl?raw';
import lanesSource from '../../shaders/attention_lanes.wgsl?raw';
import splitSource from '../../shaders/attention_split.wgsl?raw';
import {
  attentionCost,
  shapeName,
  type AttentionCall,
  type AttentionFacts,
} from './attention_call.ts';
import { paddedHeadDim } from './kv_cache.ts';
import { isUsable, reduceLibrary } from './variants.ts';

const splitKernel = defineKernel({
  name: 'attention_split',
  source: splitSource,
  bindings: {
    queries: 'read',
    keys: 'read',
    values: 'read',
    sequences: 'read',
    tables: 'read',
    bias: 'read',
    out: 'write',
    pieces: 'write',
    counts: 'uniform',
  },
});

const lanesKernel = defineKernel({
  name: 'attention_lanes',
  source: lanesSource,
  bindings: splitKernel.bindings,
});

const combineKernel = defineKernel({
  name: 'attention_combine',
  source: combineSource,
  bindings: { pieces: 'read', out: 'update', counts: 'uniform' },
});

/** `split` shares keys and dims among the threads of a workgroup; `lanes` gives each subgroup keys of its own. */
export const ONE_VARIANTS = ['split', 'lanes'] as const;
export type OneVariant = (typeof ONE_VARIANTS)[number];

/** Threads of `split`, and so keys in a tile of it. */
const SPLIT_THREADS = 128;
/** Most query heads, and most vec4s of queries, that a workgroup of `split` takes. */
const SPLIT_HEADS = 8;
const SPLIT_VEC4S = 256;
/** Most query heads, and most vec4s of sums in a thread, that a subgroup of `lanes` takes. */
const LANES_HEADS = 8;
const LANES_VEC4S = 16;
const COMBINE_THREADS = 64;

type SubgroupFact = 'hasSubgroups' | 'subgroupMinSize' | 'subgroupMaxSize';

/** Threads of every subgroup, if all have as many: those of a workgroup of `lanes`. */
function lanesOf({
  hasSubgroups,
  subgroupMinSize,
  subgroupMaxSize,
}: Pick<DeviceFacts, SubgroupFact>): number | undefined {
  return hasSubgroups && subgroupMinSize === subgroupMaxSize ? subgroupMinSize : undefined;
}

/** Whether a device has what a variant needs. */
export function suitsOne(name: OneVariant, facts: Pick<DeviceFacts, SubgroupFact>): boolean {
  return name === 'split' || lanesOf(facts) !== undefined;
}

/** Variants that can run here, the one to use unmeasured first. */
export function oneCandidates(
  facts: Pick<DeviceFacts, SubgroupFact | 'isSoftware' | 'dropped'>,
): readonly OneVariant[] {
  if (!isUsable(facts, 'attention_lanes') || !suitsOne('lanes', facts)) return ['split'];
  return facts.isSoftware ? ['lanes', 'split'] : ['split', 'lanes'];
}

/** Into how many pieces a device's kernels cut keys. */
export interface SplitLimits {
  /** Workgroups that keep the device busy. */
  readonly target: number;
  /** Most pieces of one sequence. */
  readonly maxSplits: number;
}

/**
 * How a device with these facts is kept busy: a discrete GPU needs a thousand workgroups to have enough reads under way, an
 * integrated one some hundreds, a processor a few per core.
 *
 * @param sequences - most that are decoded in a step: the more, the fewer pieces each needs, and the more room they take
 */
export function splitLimits(
  { isSoftware, vendor }: Pick<AttentionFacts, 'isSoftware' | 'vendor'>,
  sequences: number,
): SplitLimits {
  if (isSoftware) return { target: 64, maxSplits: 16 };
  return {
    target: /nvidia|amd/.test(vendor) ? 1024 : 256,
    maxSplits: Math.max(16, Math.min(64, Math.floor(512 / sequences))),
  };
}

/**
 * Number of pieces to cut each sequence's keys into, so that about `target` workgroups run and none has less
 * than one tile of keys.
 *
 * @param kvLength - keys of the longest sequence
 */
export function chooseSplits(
  step: SplitLimits & {
    readonly decodes: number;
    readonly kvHeads: number;
    readonly kvLength: number;
    readonly pageSize: number;
  },
): number {
  const { decodes, kvHeads, kvLength, pageSize, target, maxSplits } = step;
  const wanted = divCeil(target, Math.max(1, decodes * kvHeads));
  const worthwhile = divCeil(kvLength, Math.max(pageSize, SPLIT_THREADS));
  return Math.max(1, Math.min(wanted, worthwhile, maxSplits));
}

/** Records the attention of the step's sequences of one token, their keys in at most `maxSplits` pieces. */
export function recordOne(call: AttentionCall, name: OneVariant, maxSplits: number): void {
  const { recorder, shape, state, slots, inputs, out } = call;
  const { heads, kvHeads, headDim } = shape;
  const padded = paddedHeadDim(headDim);
  const capacity = Math.min(
    capacityOf(state.sequences.shape[0] ?? 0),
    capacityOf(out.shape[0] ?? 0),
  );
  const perUnit = (count: CountName, most: number): GridAxis => ({
    extent: { count, capacity: most },
    per: 1,
  });
  const decodes = { count: 'decodes', capacity } as const;
  const pieces = recorder.scratch('f32', [decodes, maxSplits, heads, padded + 4]);
  const { kernel, mostHeads, ownSlots } = partsOf(name, recorder.facts, padded / 4);
  const perBlock = headsPerBlock(heads / kvHeads, mostHeads);
  recorder.dispatch(kernel, {
    slots: { ...slots, HEADS_PER_BLOCK: perBlock, MAX_SPLITS: maxSplits, ...ownSlots },
    bindings: { ...inputs, out, pieces },
    grid: [
      kvHeads * divCeil(heads / kvHeads, perBlock),
      perUnit('splits', maxSplits),
      perUnit('decodes', capacity),
    ],
    label: shapeName(shape),
    cost: (work) => attentionCost(call, work, work.counts.decodes / work.counts.tokens),
  });
  recorder.dispatch(combineKernel, {
    slots: { HEADS: heads, HEAD_DIM: headDim, MAX_SPLITS: maxSplits, WORKGROUP: COMBINE_THREADS },
    bindings: { pieces, out },
    grid: [divCeil((heads * padded) / 4, COMBINE_THREADS), perUnit('combines', capacity)],
    label: shapeName(shape),
    cost({ counts: { combines, splits } }) {
      const [numbers, results] = [heads * (padded + 4), heads * headDim];
      return {
        bytes: 4 * combines * (splits * numbers + results),
        flops: 2 * combines * splits * numbers,
      };
    },
  });
}

/** Query heads per workgroup: as even as they can be shared out. */
function headsPerBlock(group: number, most: number): number {
  return divCeil(group, divCeil(group, most));
}

/** What differs between the variants. */
function partsOf(
  name: OneVariant,
  facts: DeviceFacts,
  vec4s: number,
): { readonly kernel: Kernel; readonly mostHeads: number; readonly ownSlots: Slots } {
  if (name === 'split') {
    return {
      kernel: splitKernel,
      mostHeads: Math.min(SPLIT_HEADS, Math.floor(SPLIT_VEC4S / vec4s)),
      ownSlots: { WORKGROUP: SPLIT_THREADS, REDUCE: reduceLibrary(facts) },
    };
  }
  const lanes = lanesOf(facts);
  if (lanes === undefined) {
    throw new ShapeError('attention: lanes needs subgroups of one size, and the device has none');
  }
  return {
    kernel: lanesKernel,
    mostHeads: Math.max(1, Math.min(LANES_HEADS, Math.floor(LANES_VEC4S / divCeil(vec4s, lanes)))),
    ownSlots: { LANES: lanes },
  };
}
