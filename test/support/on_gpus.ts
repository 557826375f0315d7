import { beforeAll, beforeEach, describe, type TestContext } from 'vitest';
import { openTestGpu, TEST_ADAPTERS } from './adapters.ts';

/**
 * Runs a block of tests once on every adapter of this machine, for tests that open devices of their own. Tests on an
 * adapter that is not there are skipped with the reason.
 *
 * @param block - gets a function that yields WebGPU on the adapter
 */
export function describeOnGpus(
  name: string,
  block: (gpu: () => GPU) => void,
  adapters: typeof TEST_ADAPTERS = TEST_ADAPTERS,
): void {
  describe.each(adapters)(`${name} on %s`, (adapter) => {
    let gpu: GPU | string = 'not opened yet';
    beforeAll(async () => {
      gpu = await openTestGpu(adapter);
    });
    beforeEach((context: TestContext) => {
      if (typeof gpu === 'string') context.skip(gpu);
    });

    block(() => {
      if (typeof gpu === 'string') throw new Error(gpu);
      return gpu;
    });
  });
}
