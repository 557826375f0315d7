import type { SelfTestReport } from '../../../src/engine/api.ts';
import { KernelCheck } from '../../../src/engine/kernel_check.ts';
import { openDevice } from '../../../src/gpu/open_device.ts';

/** What an engine with f16 weights would say of the kernels on this page's adapter. */
export async function check(): Promise<SelfTestReport> {
  const kernels = new KernelCheck({ mode: 'auto', open: () => openDevice() });
  const device = await openDevice();
  await kernels.run(device, ['f16']);
  device.dispose();
  return kernels.report;
}
