/** What a case of the self-test is, and what several of them need. @module */
import type { DeviceFacts } from '../gpu/facts.ts';
import type { Recorder } from '../gpu/recorder.ts';
import { NO_COUNTS, type Counts, type Tensor } from '../gpu/tensor.ts';
import { reducesBySubgroup, type Variant } from './variants.ts';

/** An operation whose result must not depend on the variants that compute it. */
export interface SelfTestCase {
  readonly name: string;
  /** Variants that a device with these facts would run it with, a kernel after the libraries it includes. */
  readonly variants: (facts: DeviceFacts) => readonly Variant[];
  /** Steps to run, one after another. */
  readonly steps: readonly Counts[];
  readonly record: (recorder: Recorder) => Tensor;
  /** The numbers that a step leaves in the recorded tensor, in parts that are each of one magnitude. */
  readonly read: (bytes: ArrayBuffer) => readonly (readonly number[])[];
  /** Additions in a row that the plain kernel makes. */
  readonly depth: number;
}

/** Counts of a step, those not given being 0. */
export function countsOf(counts: Partial<Counts>): Counts {
  return { ...NO_COUNTS, ...counts };
}

/** All numbers of an f32 tensor, of one magnitude: {@link SelfTestCase.read}. */
export function floats(bytes: ArrayBuffer): readonly (readonly number[])[] {
  return [[...new Float32Array(bytes)]];
}

/** The library that reduces over a workgroup, if it is not the plain one. */
export function reduceVariant(facts: DeviceFacts): readonly Variant[] {
  return reducesBySubgroup(facts) ? ['reduce_subgroup'] : [];
}
