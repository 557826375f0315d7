import type { Cost, Work } from './cost.ts';
import type { GridAxis } from './kernel.ts';
import type { Counts, DeviceTensor } from './tensor.ts';

/** One dispatch ready to be encoded. */
export interface Dispatch {
  /** The kernel's. */
  readonly name: string;
  /** What tells it from other dispatches of the kernel, or nothing. */
  readonly label: string;
  readonly bindings: readonly DeviceTensor[];
  /** What it costs at the least. */
  readonly cost: (work: Work) => Cost;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly grid: readonly GridAxis[];
}

/** A recorded step. Replaying it encodes commands and creates no GPU object. */
export class Recording {
  readonly dispatches: readonly Dispatch[];
  readonly #kept: ReadonlyMap<string, GPUBufferBinding>;

  constructor(dispatches: readonly Dispatch[], kept: ReadonlyMap<string, GPUBufferBinding>) {
    this.dispatches = dispatches;
    this.#kept = kept;
  }

  /** Where the value kept under `name` lies after a replay, until the next recording is replayed. */
  kept(name: string): GPUBufferBinding | undefined {
    return this.#kept.get(name);
  }

  /** Every value kept, by name. */
  allKept(): ReadonlyMap<string, GPUBufferBinding> {
    return this.#kept;
  }

  /**
   * Encodes every dispatch whose grid is not empty.
   *
   * @param counts - the numbers of this step; the count uniform must hold the same
   * @returns the number of dispatches encoded
   */
  replay(pass: GPUComputePassEncoder, counts: Counts): number {
    return encode(pass, this.dispatches, counts);
  }
}

/** Encodes those dispatches whose grid is not empty, one after another; see {@link Recording.replay}. */
export function encode(
  pass: GPUComputePassEncoder,
  dispatches: readonly Dispatch[],
  counts: Counts,
): number {
  let encoded = 0;
  let current: GPUComputePipeline | undefined;
  for (const { pipeline, bindGroup, grid } of dispatches) {
    const x = workgroups(grid[0], counts);
    const y = workgroups(grid[1], counts);
    const z = workgroups(grid[2], counts);
    if (x * y * z === 0) continue;
    if (pipeline !== current) pass.setPipeline(pipeline);
    current = pipeline;
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(x, y, z);
    encoded += 1;
  }
  return encoded;
}

/** Whether a step with these counts runs a dispatch. */
export function isRun({ grid }: Dispatch, counts: Counts): boolean {
  return grid.every((axis) => workgroups(axis, counts) > 0);
}

function workgroups(axis: GridAxis | undefined, counts: Counts): number {
  if (axis === undefined) return 1;
  if (typeof axis === 'number') return axis;
  return Math.ceil(counts[axis.extent.count] / axis.per);
}
