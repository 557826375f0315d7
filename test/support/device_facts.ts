import type { DeviceFacts } from '../../src/gpu/facts.ts';

/** A GPU without optional features, at the limits that WebGPU guarantees. */
export const PLAIN_FACTS: DeviceFacts = {
  vendor: '',
  architecture: '',
  device: '',
  description: '',
  isSoftware: false,
  hasF16: false,
  hasSubgroups: false,
  subgroupMinSize: 4,
  subgroupMaxSize: 128,
  subgroupMatrix: undefined,
  hasDot4: false,
  hasTimestamps: false,
  hasSlowBarriers: false,
  dropped: new Set(),
  tuned: new Map(),
  limits: {
    maxStorageBufferBindingSize: 2 ** 27,
    maxBufferSize: 2 ** 28,
    maxComputeWorkgroupsPerDimension: 65_535,
  },
};
