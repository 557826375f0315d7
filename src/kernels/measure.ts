/** Kernels that measure a device: what it reads, computes and starts as fast as it can. @module */
import { defineKernel } from '../gpu/kernel.ts';
import type { Recorder } from '../gpu/recorder.ts';
import type { DeviceTensor, Tensor } from '../gpu/tensor.ts';
import emptySource from '../../shaders/measure_empty.wgsl?raw';
import fmaSource from '../../shaders/measure_fma.wgsl?raw';
import readSource from '../../shaders/measure_read.wgsl?raw';

const readKernel = defineKernel({
  name: 'measure_read',
  source: readSource,
  bindings: { data: 'read', out: 'write' },
});
const fmaKernel = defineKernel({
  name: 'measure_fma',
  source: fmaSource,
  bindings: { rounds: 'read', out: 'write' },
});
const emptyKernel = defineKernel({
  name: 'measure_empty',
  source: emptySource,
  bindings: { out: 'update' },
});

const WORKGROUP = 256;
/** Floating-point operations of a thread in a round: 24 vec4 of a multiplication and an addition. */
const ROUND_FLOPS = 24 * 4 * 2;

/**
 * Reads a tensor once, four vectors of 16 bytes at a time in each thread.
 *
 * @param data - its size a multiple of 64 · `threads` bytes
 * @param threads - a multiple of 256
 * @returns u32 [threads]
 */
export function measureRead(recorder: Recorder, data: DeviceTensor, threads: number): Tensor {
  const out = recorder.scratch('u32', [threads]);
  recorder.dispatch(readKernel, {
    slots: { THREADS: threads, WORKGROUP },
    bindings: { data, out },
    grid: [threads / WORKGROUP],
    cost: () => ({ bytes: data.sizeBytes, flops: 0 }),
  });
  return out;
}

/** How much {@link measureFma} computes. */
export interface FmaSize {
  readonly type: 'f32' | 'f16';
  readonly rounds: number;
  /** A multiple of 256. */
  readonly threads: number;
}

/** Floating-point operations of {@link measureFma}. */
export function fmaFlops({ rounds, threads }: FmaSize): number {
  return ROUND_FLOPS * rounds * threads;
}

/**
 * Multiplies and adds in registers.
 *
 * @param plan - u32 [4]: the rounds, and as bits of f32 a factor near 1 and a term near 0
 * @returns f32 [threads]
 */
export function measureFma(recorder: Recorder, plan: DeviceTensor, size: FmaSize): Tensor {
  const { type, threads } = size;
  const out = recorder.scratch('f32', [threads]);
  recorder.dispatch(fmaKernel, {
    slots: { WORKGROUP, REAL: `lib/real_${type}.wgsl` },
    bindings: { rounds: plan, out },
    grid: [threads / WORKGROUP],
    label: type,
    cost: () => ({ bytes: 0, flops: fmaFlops(size) }),
  });
  return out;
}

/** A dispatch that does next to nothing. @param out - u32 [1] */
export function measureEmpty(recorder: Recorder, out: DeviceTensor): void {
  recorder.dispatch(emptyKernel, { slots: {}, bindings: { out }, grid: [1] });
}
