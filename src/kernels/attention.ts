import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import type { Slots } from '../gpu/shader.ts';
import {
  capacityOf,
  expectRows,
  expectShape,
  type DeviceTensor,
  type Tensor,
} from '../gpu/tensor.ts';
import { divCeil } from '../util/arith.ts';
import { ShapeError } from '../util/errors.ts';
import directSource from '../../shaders/attention_direct.wgsl?raw';
import {
  attentionCost,
  shapeName,
  type AttentionCall,
  type AttentionFacts,
  type AttentionShape,
} from './attention_call.ts';
import { manyCandidates, recordMany, suits, type ManyVariant } from './attention_many.ts';
import { oneCandidates, recordOne, splitLimits, type OneVariant } from './attention_one.ts';
import { rehearseAttention, rehearsedSequence, type AttentionMode } from './attention_rehearsal.ts';
import { pageTables, type AttentionState } from './attention_state.ts';
import { kvBytesPerPage, kvLibrary, paddedHeadDim, type KvLayer } from './kv_cache.ts';
import { isUsable } from './variants.ts';

export type { AttentionShape } from './attention_call.ts';
export { attentionTileRows, MANY_VARIANTS } from './attention_many.ts';
export { chooseSplits, ONE_VARIANTS, splitLimits, type SplitLimits } from './attention_one.ts';
export type { AttentionState } from './attention_state.ts';

const directKernel = defineKernel({
  name: 'attention_direct',
  source: directSource,
  bindings: {
    queries: 'read',
    keys: 'read',
    values: 'read',
    sequences: 'read',
    sequenceOf: 'read',
    tables: 'read',
    bias: 'read',
    out: 'write',
  },
});

/** Largest head: registers and the 16 KiB of workgroup memory are planned for it. */
const MAX_HEAD_DIM = 256;
const DIRECT_THREADS = 4;

/** A term of the scores that depends on how far apart query and key are, as in T5. */
export interface RelativeBias {
  /** f32 [2 · reach + 1, heads]; row reach + d is for keys d positions after the query. */
  readonly table: DeviceTensor;
  /** Pairs that are farther apart get what those at this distance get. */
  readonly reach: number;
}

export interface AttentionOptions {
  /** Query heads; a multiple of the cache's heads, which are shared by neighbours. */
  readonly heads: number;
  /** Factor on the scores, usually headDim^-½. */
  readonly scale: number;
  /** Whether a query sees no key after its own; default true. */
  readonly causal?: boolean | undefined;
  /**
   * How far a query sees; as far as there are keys if absent. Causal: the keys it sees, its own included. Else: the
   * largest distance, to both sides.
   */
  readonly window?: number | undefined;
  /** Added to the scaled scores. */
  readonly bias?: RelativeBias | undefined;
  /** Most pieces the step may cut keys into (`counts.splits`); by default as many as `splitLimits` says. */
  readonly maxSplits?: number;
  /** Overrides the choice by device facts; for tests. */
  readonly variant?: AttentionVariant;
}

/**
 * `direct` is the oracle: a thread per query and head, no barriers. Else a variant for sequences with one query in the step,
 * and one for those with many.
 */
export type AttentionVariant = 'direct' | { readonly one: OneVariant; readonly many: ManyVariant };

/**
 * What a measured choice is stored under. Where a mask ends is not part of it: the work on each key that is seen is the
 * same; nor is the number of sequences, so that none gets other results in a batch.
 */
export function attentionKey(shape: AttentionShape, mode: AttentionMode): string {
  const { heads, kvHeads, headDim, kv, isBiased = false } = shape;
  return `attention ${kv} ${heads}/${kvHeads} heads of ${headDim}${isBiased ? ' with bias' : ''}, ${mode}`;
}

/**
 * The kernels for a device with these facts: those measured to be the fastest, else a fixed choice.
 *
 * @param name - of one of them that is wanted whatever was measured, if it can run
 */
export function chooseAttention(
  facts: AttentionFacts,
  shape: AttentionShape,
  name?: string,
): AttentionVariant {
  if (facts.hasSlowBarriers || !isUsable(facts, 'attention_tiled') || name === 'direct') {
    return 'direct';
  }
  const pick = <N extends string>(candidates: readonly N[], mode: AttentionMode): N | undefined => {
    const tuned = facts.tuned.get(attentionKey(shape, mode));
    const named = (wanted?: string): N | undefined => candidates.find((one) => one === wanted);
    return named(name) ?? named(tuned) ?? candidates[0];
  };
  return {
    one: pick(oneCandidates(facts), 'one query') ?? 'split',
    many: pick(manyCandidates(facts, shape), 'many queries') ?? 'tile_1x8',
  };
}

/**
 * Attention of a step's queries over the paged cache, which already holds the keys and values that they see: the step's
 * own, or for cross-attention (neither causal nor with a window or bias) those of another text.
 *
 * Scores, probabilities and sums are f32 whatever the cache's type; no matrix of scores is stored.
 *
 * @param queries - f32 [T, heads · headDim rounded up to 4], zero-padded, as `ropeAppend` returns them
 * @returns f32 [T, heads · headDim]
 * @throws {ShapeError} if shapes differ, heads is no multiple of the cache's, or a size is out of range
 */
export function attention(
  queries: Tensor,
  state: AttentionState,
  kv: KvLayer,
  options: AttentionOptions,
): Tensor {
  const { heads, scale } = options;
  const { kvHeads, headDim, keys, values } = kv;
  checkSizes(kv, options);
  const tokens = expectRows('attention: queries', queries, 'f32', heads * paddedHeadDim(headDim));
  expectRows('attention: tiles', state.tiles, 'u32', 2);
  const sequences = capacityOf(expectRows('attention: sequences', state.sequences, 'u32', 4));

  const { tables, width } = pageTables('attention', state);
  const { recorder } = queries;
  const isBiased = options.bias !== undefined;
  const shape = { heads, kvHeads, headDim, kv: kv.dtype, isBiased };
  const maxSplits = options.maxSplits ?? splitLimits(recorder.facts, sequences).maxSplits;
  const slots: Slots = {
    HEADS: heads,
    KV_HEADS: kvHeads,
    HEAD_DIM: headDim,
    SCALE: scale,
    ...maskSlots(options),
    PAGE: kv.pageSize,
    TABLE: width,
    KV: kvLibrary(kv.dtype),
  };
  // Without a bias the binding is read by nobody, but must be there.
  const bias = options.bias?.table ?? queries;
  const inputs = { queries, keys, values, sequences: state.sequences, tables, bias };
  const out = recorder.scratch('f32', [tokens, heads * headDim]);
  const call: AttentionCall = { recorder, shape, state, kv, slots, inputs, out };

  const variant = options.variant ?? decide(call, width, { ...options, maxSplits });
  if (variant === 'direct') {
    recordDirect(call);
    return out;
  }
  if (!suits(variant.many, headDim)) {
    throw new ShapeError(`attention: ${variant.many} has no threads for heads of ${headDim}`);
  }
  recordOne(call, variant.one, maxSplits);
  recordMany(call, variant.many);
  return out;
}

/** Chooses as {@link chooseAttention} does, and says how to measure what there is to choose from. */
function decide(
  { recorder, shape, kv, out }: AttentionCall,
  tableWidth: number,
  options: AttentionOptions & { readonly maxSplits: number },
): AttentionVariant {
  const { facts } = recorder;
  const chosen = chooseAttention(facts, shape);
  if (chosen === 'direct') return chosen;
  const { maxSplits, window } = options;
  const { pageSize } = kv;
  const [tokens = 1] = out.shape;
  const limits = { ...splitLimits(facts, 1), maxSplits };
  const among = <N extends string>(mode: AttentionMode, candidates: readonly N[]): N => {
    const sequence = rehearsedSequence(mode, shape, { pageSize, tableWidth, window });
    const bytes = (kvBytesPerPage(kv) / pageSize) * sequence.keys;
    return recorder.decide(attentionKey(shape, mode), {
      candidates,
      // Many queries read keys again and again: it does not matter whether caches hold them at first.
      bytes: mode === 'one query' ? bytes : Infinity,
      // As of matrices: what is recorded for many tokens counts little for each.
      cost: bytes / Math.max(sequence.queries, capacityOf(tokens)),
      rehearsals: [
        (r, name, hold) =>
          rehearseAttention(r, hold, shape, sequence, limits, (queries, state, layer) => {
            const variant = chooseAttention(r.facts, shape, name);
            return attention(queries, state, layer, { ...options, variant });
          }),
      ],
    });
  };
  return {
    // Where keys are never cut, sequences with one query have few of them: texts of one token.
    one: maxSplits === 1 ? chosen.one : among('one query', oneCandidates(facts)),
    many: among('many queries', manyCandidates(facts, shape)),
  };
}

function recordDirect(call: AttentionCall): void {
  const { recorder, shape, state, slots, inputs, out } = call;
  recorder.dispatch(directKernel, {
    slots: { ...slots, WORKGROUP: DIRECT_THREADS },
    bindings: { ...inputs, sequenceOf: state.sequenceOf, out },
    grid: [divCeil(shape.heads, DIRECT_THREADS), groupsOf(out.shape[0] ?? 0, 1)],
    label: shapeName(shape),
    cost: (work) => attentionCost(call, work, 1),
  });
}

/** The slots of `shaders/lib/attention_window.wgsl` and `attention_bias.wgsl`. */
function maskSlots({ causal = true, window, bias }: AttentionOptions): Slots {
  const toEachSide = window === undefined ? 0 : window + Number(!causal);
  return { CAUSAL: causal, WINDOW: toEachSide, BIAS_ROWS: bias ? 2 * bias.reach + 1 : 0 };
}

function checkSizes(
  { kvHeads, headDim }: KvLayer,
  { heads, causal = true, window, bias, maxSplits }: AttentionOptions,
): void {
  if (heads % kvHeads !== 0) {
    throw new ShapeError(
      `attention: ${heads} heads, expected a multiple of the cache's ${kvHeads}`,
    );
  }
  if (headDim > MAX_HEAD_DIM) {
    throw new ShapeError(`attention: headDim is ${headDim}, expected at most ${MAX_HEAD_DIM}`);
  }
  if (window !== undefined && window < Number(causal)) {
    throw new ShapeError(`attention: window is ${window}, expected at least ${Number(causal)}`);
  }
  if (bias !== undefined) {
    expectShape('attention: bias', bias.table, 'f32', [2 * bias.reach + 1, heads]);
  }
  if (maxSplits !== undefined && maxSplits < 1) {
    throw new ShapeError(`attention: maxSplits is ${maxSplits}, expected at least 1`);
  }
}
