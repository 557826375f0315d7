import { DeviceLimitError, ShapeError } from '../util/errors.ts';
import { boundCost, type Cost, type Work } from './cost.ts';
import type { Device } from './device.ts';
import type { DeviceFacts } from './facts.ts';
import type { Bindings, GridAxis, Kernel } from './kernel.ts';
import type { PipelineEntry } from './pipeline_cache.ts';
import { Recording, type Dispatch } from './recording.ts';
import { planScratch, type ScratchPool } from './scratch.ts';
import type { Slots } from './shader.ts';
import {
  COUNT_NAMES,
  sizeOf,
  type Counts,
  type DeviceTensor,
  type DType,
  type Extent,
  type Tensor,
} from './tensor.ts';

/** Index that `count()` in shaders/lib/counts.wgsl takes for a row extent. */
const ROWS_FIXED = 8;

/** Times that a choice was recorded which are kept for a tuner: the layers of a large model. */
const MOST_REHEARSALS = 128;

/** One use of a kernel: what its slots and bindings are, and how many workgroups run. */
export interface Call<B extends Bindings> {
  readonly slots: Slots;
  readonly bindings: { readonly [K in Exclude<keyof B, 'counts'>]: DeviceTensor };
  /** Workgroups along x, y, z; a missing axis is 1. */
  readonly grid: readonly [GridAxis, GridAxis?, GridAxis?];
  /** What it is beside its kernel's name, such as `q4 1536x576`: calls that are told apart where time is measured. */
  readonly label?: string;
  /** What it costs in a step; default: every bound tensor once, and no arithmetic. */
  readonly cost?: (work: Work) => Cost;
}

interface Pending {
  readonly name: string;
  readonly label: string;
  readonly cost: (work: Work) => Cost;
  readonly pipeline: PipelineEntry;
  readonly bindings: readonly DeviceTensor[];
  readonly grid: readonly GridAxis[];
}

/** One of several ways to do the same that a recorder was to choose from. */
export interface Decision<Name extends string = string> {
  /** Names of the ways, the one to take unmeasured first. */
  readonly candidates: readonly Name[];
  /** What it costs a token, in any unit; of all times it was recorded together. The costliest is measured first. */
  readonly cost: number;
  /** What one time reads that the next does not, such as a layer's weight; Infinity: one time is enough to measure. */
  readonly bytes: number;
  /** The times that it was recorded, the first {@link MOST_REHEARSALS} of them. */
  readonly rehearsals: readonly Rehearse[];
}

/** Records what was to be done in one of the ways, on operands of the same sizes. */
export type Rehearse = (recorder: Recorder, name: string, hold: HoldState) => Rehearsed;

export interface Rehearsed {
  /** What it reads, to be filled with numbers; as u32, a cache's bytes and scales. */
  readonly inputs: readonly Tensor[];
  /** Those of them that no other time shares, as each layer has a cache of its own. */
  readonly own?: readonly Tensor[];
  /** f32 */
  readonly output: Tensor;
  /** Of the step that it is part of; by default one with as many rows as it has results. */
  readonly counts?: Counts;
}

/** Numbers of step state, u32. */
export interface StateNumbers {
  readonly shape: readonly number[];
  readonly words: readonly number[];
}

/** Puts numbers where kernels find step state, until the rehearsals have been measured. */
export type HoldState = <K extends string>(
  numbers: Readonly<Record<K, StateNumbers>>,
) => Readonly<Record<K, DeviceTensor>>;

/** First and last dispatch that use a scratch tensor: Infinity and -1 before there is one. */
interface ScratchLife {
  readonly sizeBytes: number;
  first: number;
  last: number;
  isKept: boolean;
}

/**
 * Collects the dispatches of one step. Operations of `kernels/` add to it; {@link finish} plans scratch memory
 * by liveness and yields a {@link Recording} to replay.
 */
export class Recorder {
  readonly device: Device;
  /** What the operations choose their kernels by. */
  readonly facts: DeviceFacts;
  readonly #counts: DeviceTensor;
  readonly #pending: Pending[] = [];
  readonly #scratch: ScratchLife[] = [];
  readonly #kept = new Map<string, Tensor>();

  /**
   * @param counts - uniform with the step's counts in the order of `COUNT_NAMES`, u32 [8]
   * @param facts - the device's, or part of them, to record what a poorer device would run
   */
  constructor(device: Device, counts: DeviceTensor, facts: DeviceFacts = device.facts) {
    this.device = device;
    this.facts = facts;
    this.#counts = counts;
  }

  /** Makes memory from outside the step, such as step state, an operand of its operations. */
  tensor(memory: DeviceTensor): Tensor {
    return { ...memory, recorder: this };
  }

  /** A value that lives from the dispatch that writes it to the last that reads it. Not zeroed. */
  scratch(dtype: DType, shape: readonly Extent[]): Tensor {
    const id = this.#scratch.length;
    const sizeBytes = sizeOf(dtype, shape);
    this.#scratch.push({ sizeBytes, first: Infinity, last: -1, isKept: false });
    return {
      shape,
      dtype,
      sizeBytes,
      memory: { kind: 'scratch', recorder: this, id },
      recorder: this,
    };
  }

  /**
   * Scratch that several dispatches write in parts, such as pages; what none of them wrote is not to be read.
   */
  workspace(dtype: DType, shape: readonly Extent[]): Tensor {
    const tensor = this.scratch(dtype, shape);
    const life = this.#lifeOf('workspace', tensor);
    // As if the dispatch before had written it.
    if (life !== undefined) life.first = this.#pending.length - 1;
    return tensor;
  }

  /**
   * Keeps a value readable after the step, under `name`.
   *
   * @throws {ShapeError} if the value was recorded by another recorder or is not written yet
   */
  keep(name: string, tensor: Tensor): void {
    const where = `recorder: kept value ${name}`;
    const life = this.#lifeOf(where, tensor);
    if (life !== undefined) {
      if (life.last < 0) throw new ShapeError(`${where} is read before it is written`);
      life.isKept = true;
    }
    this.#kept.set(name, tensor);
  }

  /**
   * Chooses among several ways to do the same: the one that was measured to be the fastest (`DeviceFacts.tuned`), else
   * the first. What there was to choose from is kept for a tuner.
   *
   * @param key - what the choice depends on beside the device
   */
  decide<Name extends string>(key: string, decision: Decision<Name>): Name {
    const { decisions } = this.device;
    const { candidates, bytes, cost, rehearsals } = decision;
    const before = decisions.get(key) ?? { bytes: 0, cost: 0, rehearsals: [] };
    // Recordings go on being made, as for other sizes of a batch.
    const isFull = before.rehearsals.length >= MOST_REHEARSALS;
    decisions.set(key, {
      candidates,
      bytes: Math.max(before.bytes, bytes),
      cost: before.cost + cost,
      rehearsals: isFull ? before.rehearsals : [...before.rehearsals, ...rehearsals],
    });
    const tuned = this.facts.tuned.get(key);
    const [first] = candidates;
    if (first === undefined) throw new ShapeError(`recorder: ${key} has no candidates`);
    return candidates.find((name) => name === tuned) ?? first;
  }

  /** The slot value with which `count()` in a shader yields this extent. */
  static rowsSlot(extent: Extent): number {
    return typeof extent === 'number' ? ROWS_FIXED + extent : COUNT_NAMES.indexOf(extent.count);
  }

  /**
   * Adds one dispatch.
   *
   * @throws {ShapeError} if a binding was recorded by another recorder or is not written before it is read
   * @throws {DeviceLimitError} if the grid or a binding passes a limit of the device
   */
  dispatch<const B extends Bindings>(kernel: Kernel<B>, call: Call<B>): void {
    const given: Readonly<Record<string, DeviceTensor>> = {
      ...call.bindings,
      counts: this.#counts,
    };
    const bindings = Object.entries(kernel.bindings).map(([name, access]) => {
      const tensor = given[name];
      if (tensor === undefined) {
        throw new ShapeError(`${kernel.name}: ${name} is not bound`);
      }
      this.#use(`${kernel.name}: ${name}`, tensor, access === 'write');
      return tensor;
    });
    const grid = call.grid.filter((axis) => axis !== undefined);
    this.#checkGrid(kernel.name, grid);
    const pipeline = this.device.pipelines.get(kernel, call.slots);
    const operands = bindings.filter((tensor) => tensor !== this.#counts);
    const { label = '', cost = (work) => boundCost(operands, work) } = call;
    this.#pending.push({ name: kernel.name, label, cost, pipeline, bindings, grid });
  }

  /**
   * Ends recording: plans scratch memory, waits for the pipelines, creates the bind groups.
   *
   * @param scratch - where its memory comes from; by default what all recordings of the device share
   * @throws {ShaderError} if a shader does not compile
   * @throws {OutOfMemoryError} if scratch memory cannot be had
   */
  async finish(scratch: ScratchPool = this.device.scratch): Promise<Recording> {
    const end = this.#pending.length;
    const { placement, sizes } = planScratch(
      this.#scratch.map(({ sizeBytes, first, last, isKept }) => ({
        sizeBytes,
        first,
        last: isKept ? end : last,
      })),
    );
    const buffers = scratch.acquire(sizes);
    const place = (tensor: DeviceTensor): GPUBufferBinding => {
      const { memory, sizeBytes } = tensor;
      if (memory.kind === 'buffer') {
        const { buffer, offset } = memory;
        return { buffer, offset, size: roundBinding(sizeBytes, buffer.size - offset) };
      }
      const buffer = buffers[placement[memory.id] ?? 0];
      if (buffer === undefined) throw new ShapeError('recorder: scratch memory was not planned');
      return { buffer, offset: 0, size: roundBinding(sizeBytes, buffer.size) };
    };
    const dispatches = await Promise.all(
      this.#pending.map(async (pending): Promise<Dispatch> => {
        const { name, label, cost, pipeline, bindings, grid } = pending;
        const bindGroup = this.device.gpu.createBindGroup({
          label: name,
          layout: pipeline.layout,
          entries: bindings.map((tensor, binding) => ({ binding, resource: place(tensor) })),
        });
        return { name, label, cost, bindings, pipeline: await pipeline.ready, bindGroup, grid };
      }),
    );
    const kept = new Map([...this.#kept].map(([name, tensor]) => [name, place(tensor)]));
    await this.device.settled();
    return new Recording(dispatches, kept);
  }

  #use(where: string, tensor: DeviceTensor, isWritten: boolean): void {
    const { maxStorageBufferBindingSize } = this.facts.limits;
    if (tensor.sizeBytes > maxStorageBufferBindingSize) {
      throw new DeviceLimitError(
        'maxStorageBufferBindingSize',
        maxStorageBufferBindingSize,
        tensor.sizeBytes,
        `${where} does not fit in one binding; run fewer tokens per step`,
      );
    }
    const life = this.#lifeOf(where, tensor);
    if (life === undefined) return;
    const now = this.#pending.length;
    if (!isWritten && life.first >= now) {
      throw new ShapeError(`${where} is read before it is written`);
    }
    life.first = Math.min(life.first, now);
    life.last = now;
  }

  /** When a tensor's scratch memory is needed; undefined for a tensor in a buffer of its own. */
  #lifeOf(where: string, { memory }: DeviceTensor): ScratchLife | undefined {
    if (memory.kind === 'buffer') return undefined;
    const life = memory.recorder === this ? this.#scratch[memory.id] : undefined;
    if (life === undefined) throw new ShapeError(`${where} belongs to another recorder`);
    return life;
  }

  #checkGrid(name: string, grid: readonly GridAxis[]): void {
    const { maxComputeWorkgroupsPerDimension } = this.facts.limits;
    for (const axis of grid) {
      const most = typeof axis === 'number' ? axis : Math.ceil(axis.extent.capacity / axis.per);
      if (most > maxComputeWorkgroupsPerDimension) {
        throw new DeviceLimitError(
          'maxComputeWorkgroupsPerDimension',
          maxComputeWorkgroupsPerDimension,
          most,
          `${name} needs a larger grid; run fewer tokens per step`,
        );
      }
    }
  }
}

/** Bindings cover whole vec4s, so that a kernel may read four elements at the end of a row. */
function roundBinding(sizeBytes: number, available: number): number {
  return Math.min(Math.ceil(sizeBytes / 16) * 16, available);
}
