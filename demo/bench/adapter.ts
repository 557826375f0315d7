/** The GPU that will be measured, before anything is. @module */
import { type Signal, signal } from '@preact/signals';
import { adapterName, readDevice } from '../../src/bench/index.ts';
import { gpuOfPage } from './platform.ts';

/** What the browser tells of the GPU; missing until it has. */
export const adapter: Signal<{ readonly name: string; readonly isSoftware: boolean } | undefined> =
  signal();

/**
 * Asks the browser for its GPU.
 *
 * @throws {NoWebGpuError} if there is none
 * @throws {DeviceLimitError} if it is below the WebGPU default limits
 */
export async function findAdapter(): Promise<void> {
  const device = await readDevice(gpuOfPage(), { now: () => performance.now() });
  adapter.value = { name: adapterName(device), isSoftware: device.isSoftware };
}
