import { defineKernel, groupsOf } from '../gpu/kernel.ts';
import { Recorder } from '../gpu/recorder.ts';
import { capacityOf, expectRows, lastAxis, type Tensor } from '../gpu/tensor.ts';
import { ShapeError } from '../util/errors.ts';
import routeSource from '../../shaders/route.wgsl?raw';
import capacitySource from '../../shaders/route_capacity.wgsl?raw';
import type { AttentionState } from './attention.ts';

const routeKernel = defineKernel({
  name: 'route',
  source: routeSource,
  bindings: { logits: 'read', experts: 'write', weights: 'write', counts: 'uniform' },
});

const capacityKernel = defineKernel({
  name: 'route_capacity',
  source: capacitySource,
  bindings: {
    experts: 'read',
    sequenceOf: 'read',
    sequences: 'read',
    weights: 'update',
    counts: 'uniform',
  },
});

const WORKGROUP = 64;

/** The expert of each token. */
export interface Routing {
  /** u32 [T] */
  readonly experts: Tensor;
  /** f32 [T], factor on the expert's result. */
  readonly weights: Tensor;
}

/**
 * Chooses one expert per token: the one with the largest logit, the first of equals; its weight is its softmax
 * probability. Fedus et al. 2021 (Switch Transformers), arXiv:2101.03961, section 2.1.
 *
 * @param logits - f32 [T, experts]
 * @param options - `capacity`: tokens of a sequence that an expert takes in one step, the first ones; the others have
 *   weight 0. Absent: all.
 * @throws {ShapeError} if `logits` is not f32 [T, experts], or `capacity` is negative
 */
export function route(
  logits: Tensor,
  state: Pick<AttentionState, 'sequenceOf' | 'sequences'>,
  { capacity = Infinity }: { readonly capacity?: number | undefined } = {},
): Routing {
  const count = lastAxis('route: logits', logits);
  const rows = expectRows('route: logits', logits, 'f32', count);
  expectRows('route: sequenceOf', state.sequenceOf, 'u32');
  expectRows('route: sequences', state.sequences, 'u32', 4);
  if (!(capacity >= 0)) {
    throw new ShapeError(`route: capacity is ${capacity}, expected at least 0`);
  }
  const { recorder } = logits;
  const experts = recorder.scratch('u32', [rows]);
  const weights = recorder.scratch('f32', [rows]);
  const ROW_COUNT = Recorder.rowsSlot(rows);
  const grid = [groupsOf(rows, WORKGROUP)] as const;
  recorder.dispatch(routeKernel, {
    slots: { EXPERTS: count, ROW_COUNT, WORKGROUP },
    bindings: { logits, experts, weights },
    grid,
  });
  if (capacity < capacityOf(rows)) {
    const { sequenceOf, sequences } = state;
    recorder.dispatch(capacityKernel, {
      slots: { CAPACITY: Math.floor(capacity), ROW_COUNT, WORKGROUP },
      bindings: { experts, sequenceOf, sequences, weights },
      grid,
    });
  }
  return { experts, weights };
}
