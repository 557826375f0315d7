import type { Device } from '../gpu/device.ts';
import { openDevice } from '../gpu/open_device.ts';
import type { Clock } from '../gpu/stopwatch.ts';

/** An adapter and its device as the browser describes them: what a bug report needs. */
export interface DeviceReport {
  readonly vendor: string;
  readonly architecture: string;
  /** The GPU's own name or number, where the browser tells it. */
  readonly device: string;
  readonly description: string;
  readonly isSoftware: boolean;
  /** All that the adapter has, used or not. */
  readonly features: readonly string[];
  readonly languageFeatures: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
  /** Features and limits of the device: what Quern asked for. */
  readonly used: {
    readonly features: readonly string[];
    readonly limits: Readonly<Record<string, number>>;
  };
  /** Threads of a subgroup, where the browser tells. */
  readonly subgroups?: { readonly min: number; readonly max: number };
  /** Smallest step of the clock that tests are timed with, in milliseconds. */
  readonly timerTickMs: number;
  /** The browser, or Node with its WebGPU; empty if not told. */
  readonly runtime: string;
}

/** Steps of a clock that are looked at, and how long at most. */
const TICKS = 10;
const LONGEST_MS = 500;

/**
 * Describes the adapter that a device is on.
 *
 * @param gpu - that the device was opened from
 * @param runtime - the browser, or Node with its WebGPU
 */
export async function describeDevice(
  gpu: GPU,
  { facts, gpu: device }: Device,
  clock: Clock,
  runtime = '',
): Promise<DeviceReport> {
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  const { vendor, architecture, device: name, description, isSoftware } = facts;
  const info: Partial<GPUAdapterInfo> = adapter?.info ?? {};
  const { subgroupMinSize: min, subgroupMaxSize: max } = info;
  return {
    vendor,
    architecture,
    device: name,
    description,
    isSoftware,
    features: [...(adapter?.features ?? [])].toSorted(),
    languageFeatures: [...gpu.wgslLanguageFeatures].toSorted(),
    limits: limitsOf(adapter?.limits),
    used: { features: [...device.features].toSorted(), limits: limitsOf(device.limits) },
    ...(min !== undefined && max !== undefined && { subgroups: { min, max } }),
    timerTickMs: timerTick(clock),
    runtime,
  };
}

/**
 * Describes the adapter that models would be loaded on.
 *
 * @throws {NoWebGpuError} if there is none
 * @throws {DeviceLimitError} if it is below the WebGPU default limits
 */
export async function readDevice(gpu: GPU, clock: Clock, runtime?: string): Promise<DeviceReport> {
  const device = await openDevice(gpu);
  try {
    return await describeDevice(gpu, device, clock, runtime);
  } finally {
    device.dispose();
  }
}

/** Smallest step of a clock, in milliseconds. Waits for a few of them. */
function timerTick(clock: Clock): number {
  const start = clock.now();
  let [last, least] = [start, Infinity];
  for (let ticks = 0; ticks < TICKS && last - start < LONGEST_MS;) {
    const time = clock.now();
    if (time === last) continue;
    least = Math.min(least, time - last);
    last = time;
    ticks += 1;
  }
  return least;
}

/** Limits are attributes of the interface, not of the object. */
function limitsOf(limits: GPUSupportedLimits | undefined): Readonly<Record<string, number>> {
  const names = limits === undefined ? [] : Object.keys(Object.getPrototypeOf(limits) ?? {});
  const entries = names.toSorted().flatMap((name): readonly [string, number][] => {
    const value: unknown = limits && Reflect.get(limits, name);
    return typeof value === 'number' ? [[name, value]] : [];
  });
  return Object.fromEntries(entries);
}
