import type { SelfTestReport } from '../../../src/engine/api.ts';
import { KernelCheck } from '../../../src/engine/kernel_check.ts';
import { openDevice } from '../../../src/gpu/device.ts';
import type { Checkpoint } from '../../../src/weights/checkpoint.ts';

/** What an engine with f16 weights would say of the kernels on this page's adapter. */
export async function check(): Promise<SelfTestReport> {
  const file = { name: 'none', size: 0, read: () => Promise.reject(new Error('not read')) };
  const tensors: Checkpoint['tensors'] = new Map([
    ['weight', { name: 'weight', dtype: 'F16', shape: [1, 1], begin: 0, end: 2, file }],
  ]);
  const kernels = new KernelCheck({ mode: 'auto', open: () => openDevice(), tensors });
  const device = await openDevice();
  await kernels.run(device);
  device.dispose();
  return kernels.report;
}
