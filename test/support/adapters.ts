import { type AdapterChoice, openGpu } from '../../src/node/gpu.ts';
import { NoWebGpuError } from '../../src/util/errors.ts';

const CHOICES: readonly AdapterChoice[] = ['lavapipe', 'swiftshader', 'default'];

/**
 * What GPU tests run on: a real GPU alone where there is one, else lavapipe and SwiftShader.
 *
 * `QUERN_ADAPTER` (`lavapipe`, `swiftshader` or `default`) narrows it to that one. An adapter in this list may be
 * missing: {@link openTestGpu} then gives the reason, so that its tests are reported as skipped.
 */
export const TEST_ADAPTERS: readonly AdapterChoice[] = await chooseAdapters();

/** For what is the same on every adapter. */
export const ONE_ADAPTER: readonly AdapterChoice[] = TEST_ADAPTERS.slice(0, 1);

/** Opens WebGPU on an adapter, or says why it cannot. */
export async function openTestGpu(choice: AdapterChoice): Promise<GPU | string> {
  try {
    return await openGpu(choice);
  } catch (error) {
    if (error instanceof NoWebGpuError) return error.message;
    throw error;
  }
}

async function chooseAdapters(): Promise<readonly AdapterChoice[]> {
  const asked = process.env['QUERN_ADAPTER'];
  if (asked !== undefined) {
    const choice = CHOICES.find((name) => name === asked);
    if (choice !== undefined) return [choice];
    throw new Error(`QUERN_ADAPTER is "${asked}", expected one of ${CHOICES.join(', ')}`);
  }
  const gpu = await openTestGpu('default');
  const adapter = typeof gpu === 'string' ? null : await gpu.requestAdapter();
  const isReal = adapter !== null && !/llvmpipe|swiftshader/i.test(adapter.info.device);
  return isReal ? ['default'] : ['lavapipe', 'swiftshader'];
}
