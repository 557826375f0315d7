import { afterAll, beforeAll, beforeEach, describe, type TestContext } from 'vitest';
import type { Device } from '../../src/gpu/device.ts';
import { openDevice, type OpenDeviceOptions } from '../../src/gpu/open_device.ts';
import { ONE_ADAPTER, openTestGpu, TEST_ADAPTERS } from './adapters.ts';

/** A device as poor as WebGPU allows. */
const RESTRICTED: OpenDeviceOptions = {
  without: ['shader-f16', 'subgroups', 'timestamp-query'],
  defaultLimits: true,
  integerProducts: true,
};

/**
 * Runs a block of tests once on every adapter of this machine, and on the first of them once more with the optional
 * features withheld and the default limits. Tests on an adapter that is not there are skipped with the reason.
 *
 * @param block - gets a function that yields the device; a device serves all tests of a block
 * @param on - `full devices` leaves out the one without optional features, for tests that have nothing to do with them;
 *   `one device` leaves out the other adapters as well, for sizes of a kernel that runs on them already
 */
export function describeOnAdapters(
  name: string,
  block: (open: () => Promise<Device>) => void,
  on: 'every device' | 'full devices' | 'one device' = 'every device',
): void {
  for (const [i, adapter] of (on === 'one device' ? ONE_ADAPTER : TEST_ADAPTERS).entries()) {
    const devices: readonly (readonly [string, OpenDeviceOptions])[] = [
      [adapter, { integerProducts: true }],
      [`${adapter}, no optional features, default limits`, RESTRICTED],
    ];
    for (const [label, options] of devices.slice(0, i === 0 && on === 'every device' ? 2 : 1)) {
      describe(`${name} on ${label}`, () => {
        let device: Device | undefined;
        let missing: string | undefined;
        beforeAll(async () => {
          const gpu = await openTestGpu(adapter);
          if (typeof gpu === 'string') missing = gpu;
          else device = await openDevice(gpu, options);
        });
        beforeEach((context: TestContext) => {
          if (missing !== undefined) context.skip(missing);
        });
        afterAll(() => device?.dispose());

        block(async () => {
          if (device === undefined) throw new Error(`no device on ${adapter}`);
          await device.settled();
          return device;
        });
      });
    }
  }
}
