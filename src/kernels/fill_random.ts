import { defineKernel } from '../gpu/kernel.ts';
import type { Recorder } from '../gpu/recorder.ts';
import type { DeviceTensor } from '../gpu/tensor.ts';
import { divCeil } from '../util/arith.ts';
import source from '../../shaders/fill_random.wgsl?raw';

const kernel = defineKernel({
  name: 'fill_random',
  source,
  bindings: { order: 'read', out: 'write' },
});

const WORKGROUP = 256;

/** What the memory is filled with: numbers of a type, or any bits. */
export const FILL_KINDS = ['f32', 'f16', 'bf16', 'bits'] as const;

/** How memory is to be filled: numbers in base ± spread, evenly. */
export interface FillOrder {
  readonly seed: number;
  readonly kind: (typeof FILL_KINDS)[number];
  readonly base: number;
  readonly spread: number;
}

/** Words of an order in the memory that {@link fillRandom} reads. */
export const FILL_ORDER_WORDS = 4;

/** Writes an order where `words` begins. */
export function encodeFillOrder(
  words: Uint32Array,
  floats: Float32Array,
  { seed, kind, base, spread }: FillOrder,
): void {
  words[0] = seed;
  words[1] = FILL_KINDS.indexOf(kind);
  floats[2] = base;
  floats[3] = spread;
}

/**
 * Fills a tensor with numbers that depend on the order alone.
 *
 * @param order - u32 [4], by {@link encodeFillOrder}
 * @param out - of any type and shape; up to 12 bytes after it, to the end of its last vec4, are filled too
 */
export function fillRandom(recorder: Recorder, order: DeviceTensor, out: DeviceTensor): void {
  const groups = divCeil(divCeil(out.sizeBytes, 16) * 4, WORKGROUP);
  const across = Math.min(groups, recorder.facts.limits.maxComputeWorkgroupsPerDimension);
  recorder.dispatch(kernel, {
    slots: { WORKGROUP },
    bindings: { order, out },
    grid: [across, divCeil(groups, across)],
  });
}
