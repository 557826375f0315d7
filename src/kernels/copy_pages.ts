import { rowsCost } from '../gpu/cost.ts';
import { defineKernel } from '../gpu/kernel.ts';
import type { Recorder } from '../gpu/recorder.ts';
import { capacityOf, expectRows, type DeviceTensor } from '../gpu/tensor.ts';
import { divCeil } from '../util/arith.ts';
import source from '../../shaders/copy_pages.wgsl?raw';
import { kvBytesPerPage, kvLibrary, kvRow4, type KvLayer } from './kv_cache.ts';

const kernel = defineKernel({
  name: 'copy_pages',
  source,
  bindings: { pairs: 'read', keys: 'update', values: 'update' },
});

const WORKGROUP = 64;

/**
 * Copies `counts.copies` pages of a layer, keys and values.
 *
 * @param pairs - u32 [maxCopies, 2]: from, to. All are copied at once, so no page may be written that another pair
 *   reads or writes
 * @throws {ShapeError} if `pairs` has another shape
 */
export function copyPages(recorder: Recorder, pairs: DeviceTensor, kv: KvLayer): void {
  const capacity = capacityOf(expectRows('copy_pages: pairs', pairs, 'u32', 2));
  const { kvHeads, pageSize, keys, values } = kv;
  const page4 = kvHeads * kvRow4(kv) * pageSize;
  recorder.dispatch(kernel, {
    slots: { PAGE4: page4, WORKGROUP, KV: kvLibrary(kv.dtype) },
    bindings: { pairs, keys, values },
    grid: [divCeil(page4, WORKGROUP), { extent: { count: 'copies', capacity }, per: 1 }],
    cost: rowsCost({ count: 'copies', capacity }, { bytes: 2 * kvBytesPerPage(kv) }),
  });
}
