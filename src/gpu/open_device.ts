import { DeviceLimitError, NoWebGpuError } from '../util/errors.ts';
import { Device } from './device.ts';
import { readFacts, SUBGROUP_MATRIX } from './facts.ts';

/** Features that may be withheld, to run as a device without them would. */
export type OptionalFeature = 'shader-f16' | 'subgroups' | 'timestamp-query';

export interface OpenDeviceOptions {
  /** Features not to ask for although the adapter has them. */
  readonly without?: readonly OptionalFeature[];
  /** Ask for the WebGPU default limits instead of the adapter's. */
  readonly defaultLimits?: boolean;
  /** Where there are two GPUs; default `high-performance`. */
  readonly powerPreference?: GPUPowerPreference;
  /**
   * Multiply weights of 8 and 4 bits as integers where that is measured to be faster. It rounds what they are multiplied
   * with to 8 bits: an error of about 0.5 % of the largest result, and a reply may depend on what it is batched with.
   */
  readonly integerProducts?: boolean;
}

const OPTIONAL_FEATURES = ['shader-f16', 'subgroups', 'timestamp-query'] as const;
const RAISED_LIMITS = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const;

/** What the kernels are written for: the limits that WebGPU guarantees. */
const NEEDED_LIMITS = [
  ['maxStorageBuffersPerShaderStage', 8],
  ['maxComputeInvocationsPerWorkgroup', 256],
  ['maxComputeWorkgroupSizeX', 256],
  ['maxComputeWorkgroupStorageSize', 16384],
] as const;

/**
 * Opens the best adapter with every feature and limit Quern can use.
 *
 * @param gpu - `navigator.gpu` of a page or worker, or a Dawn instance in Node
 * @throws {NoWebGpuError} if there is no WebGPU or no adapter, or the adapter refuses to give a device
 * @throws {DeviceLimitError} if the adapter is below the WebGPU default limits
 */
export async function openDevice(
  gpu: GPU | undefined = globalThis.navigator?.gpu,
  options: OpenDeviceOptions = {},
): Promise<Device> {
  if (gpu === undefined) {
    throw new NoWebGpuError(
      'WebGPU: navigator.gpu is missing; use a browser with WebGPU (Chrome or Edge 113+, Safari 26+, Firefox 141+) on a page served over https or localhost',
    );
  }
  const adapter = await requestAdapter(gpu, options.powerPreference);
  checkLimits(adapter.limits);
  const without = new Set<string>(options.without);
  if (without.has('subgroups')) without.add(SUBGROUP_MATRIX);
  const requiredFeatures = [...OPTIONAL_FEATURES, SUBGROUP_MATRIX].filter(
    (name): name is GPUFeatureName => adapter.features.has(name) && !without.has(name),
  );
  const requiredLimits =
    options.defaultLimits === true
      ? {}
      : Object.fromEntries(RAISED_LIMITS.map((name) => [name, adapter.limits[name]]));
  let device: GPUDevice | undefined;
  try {
    device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
    return new Device(device, readFacts(gpu, adapter, device, options.integerProducts));
  } catch (cause) {
    device?.destroy();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new NoWebGpuError(
      `WebGPU: the adapter gives no device: ${reason}; restart the browser or update the graphics driver`,
      { cause },
    );
  }
}

function checkLimits(limits: GPUSupportedLimits): void {
  for (const [name, needed] of NEEDED_LIMITS) {
    const available = limits[name];
    if (available < needed) {
      throw new DeviceLimitError(
        name,
        available,
        needed,
        'this adapter is below the WebGPU default limits; update the browser or the driver',
      );
    }
  }
}

async function requestAdapter(
  gpu: GPU,
  powerPreference: GPUPowerPreference = 'high-performance',
): Promise<GPUAdapter> {
  let cause: unknown;
  try {
    const adapter = await gpu.requestAdapter({ powerPreference });
    if (adapter !== null) return adapter;
  } catch (error) {
    cause = error;
  }
  const reason = cause instanceof Error ? ` (${cause.message})` : '';
  throw new NoWebGpuError(
    `WebGPU: the browser offers no adapter${reason}; turn on hardware acceleration, update the graphics driver, or look at chrome://gpu or about:support for the reason`,
    { cause },
  );
}
