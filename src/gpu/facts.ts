/** See `DeviceFacts.subgroupMatrix`. */
export interface SubgroupMatrix {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** What kernel choice depends on. Plain data, so that the choice can be tested without a GPU. */
export interface DeviceFacts {
  readonly vendor: string;
  readonly architecture: string;
  /** The GPU's own name or number, where the browser tells it. */
  readonly device: string;
  readonly description: string;
  /** The adapter runs on the CPU: right answers, slowly. */
  readonly isSoftware: boolean;
  readonly hasF16: boolean;
  /** Subgroup operations and the `subgroup_id` builtin, which our reductions need to index by subgroup. */
  readonly hasSubgroups: boolean;
  /** Fewest threads that a subgroup may have: 4, the least of all, where the browser does not tell. */
  readonly subgroupMinSize: number;
  /** Most threads that a subgroup may have: 128 where the browser does not tell. */
  readonly subgroupMaxSize: number;
  /** Sizes of subgroup matrices of f32 with f32 results, if the device has them: [m, k] by [k, n]. */
  readonly subgroupMatrix: SubgroupMatrix | undefined;
  /** WGSL's products of packed integers, where they are wanted; not all that have them are fast at it. */
  readonly hasDot4: boolean;
  readonly hasTimestamps: boolean;
  /**
   * SwiftShader runs the threads of a workgroup as coroutines: a kernel with barriers takes seconds to compile and runs
   * slower than one whose threads work alone.
   */
  readonly hasSlowBarriers: boolean;
  /** Kernels and shader libraries that gave wrong results here: names of `VARIANTS` in kernels/variants.ts. */
  readonly dropped: ReadonlySet<string>;
  /** Variants that were measured to be the fastest here, by what `Recorder.decide` calls the choice. */
  readonly tuned: ReadonlyMap<string, string>;
  readonly limits: {
    readonly maxStorageBufferBindingSize: number;
    readonly maxBufferSize: number;
    readonly maxComputeWorkgroupsPerDimension: number;
  };
}

/** Chrome has it behind `--enable-unsafe-webgpu`; the standard does not know it yet. */
export const SUBGROUP_MATRIX = 'chromium-experimental-subgroup-matrix';

/** What a device is, as far as the browser tells. @param wantsDot4 - see `OpenDeviceOptions.integerProducts` */
export function readFacts(
  gpu: GPU,
  adapter: GPUAdapter,
  device: GPUDevice,
  wantsDot4 = false,
): DeviceFacts {
  // Chrome has `info` from 127 and `info.isFallbackAdapter` from 140.
  const info: Partial<GPUAdapterInfo> = adapter.info ?? {};
  const { vendor = '', architecture = '', description = '', isFallbackAdapter = false } = info;
  const { device: model = '', subgroupMinSize = 4, subgroupMaxSize = 128 } = info;
  const names = `${vendor} ${architecture} ${model} ${description}`.toLowerCase();
  const { limits, features } = device;
  return {
    vendor,
    architecture,
    device: model,
    description,
    isSoftware: isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render/.test(names),
    hasF16: features.has('shader-f16'),
    hasSubgroups: features.has('subgroups') && gpu.wgslLanguageFeatures.has('subgroup_id'),
    subgroupMinSize,
    subgroupMaxSize,
    subgroupMatrix: features.has(SUBGROUP_MATRIX) ? readSubgroupMatrix(info) : undefined,
    hasDot4: wantsDot4 && gpu.wgslLanguageFeatures.has('packed_4x8_integer_dot_product'),
    hasTimestamps: features.has('timestamp-query'),
    hasSlowBarriers: names.includes('swiftshader'),
    dropped: new Set(),
    tuned: new Map(),
    limits: {
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxBufferSize: limits.maxBufferSize,
      maxComputeWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
    },
  };
}

function readSubgroupMatrix(info: object): SubgroupMatrix | undefined {
  const { subgroupMatrixConfigs = [] } = info as {
    readonly subgroupMatrixConfigs?: Iterable<{
      readonly componentType: string;
      readonly resultComponentType: string;
      readonly M: number;
      readonly N: number;
      readonly K: number;
    }>;
  };
  const config = [...subgroupMatrixConfigs].find(
    ({ componentType, resultComponentType }) =>
      componentType === 'f32' && resultComponentType === 'f32',
  );
  return config && { m: config.M, n: config.N, k: config.K };
}
