import type { Device } from './device.ts';
import { workDone } from './prompt.ts';
import { encode, type Dispatch } from './recording.ts';
import type { Counts } from './tensor.ts';
import { PassTimer } from './timing.ts';

/** How long something took. */
export interface Elapsed {
  /** On the GPU where that can be told, else from submit to completion, less what an empty submit takes. */
  readonly ms: number;
  /** CPU time of this process meanwhile, in milliseconds; on software adapters the work itself. */
  readonly cpuMs?: number;
}

/** Times that are asked of the platform. */
export interface Clock {
  /** As `performance.now()`. */
  now(): number;
  /** CPU time that this process has used, in milliseconds, where that can be told. */
  cpu?(): number;
}

/** What browsers round GPU times to, in milliseconds. */
const GPU_RESOLUTION_MS = 0.1;
/** Passes that are longer than this many steps of the GPU's clock are timed by it. */
const FINE_ENOUGH = 20;
const LATENCY_RUNS = 9;

/**
 * Measures dispatches of recordings, each set of them in a pass of its own. They run over and over on whatever memory
 * they are bound to: what they update, such as a residual stream or a token history, holds no result afterwards.
 */
export class Stopwatch {
  readonly #device: Device;
  readonly #clock: Clock;
  readonly #timer: PassTimer | undefined;
  readonly #latencyMs: number;

  private constructor(device: Device, clock: Clock, latencyMs: number) {
    this.#device = device;
    this.#clock = clock;
    this.#latencyMs = latencyMs;
    // A processor's clock tells the same, and its driver may not tell at all.
    this.#timer = device.facts.isSoftware ? undefined : PassTimer.create(device, 1);
  }

  static async create(device: Device, clock: Clock): Promise<Stopwatch> {
    let latencyMs = Infinity;
    for (let i = 0; i < LATENCY_RUNS; i += 1) {
      const begin = clock.now();
      device.gpu.queue.submit([emptyPass(device)]);
      await workDone(device.gpu.queue);
      latencyMs = Math.min(latencyMs, clock.now() - begin);
    }
    return new Stopwatch(device, clock, latencyMs);
  }

  /** What an empty submit takes until it is known to be done, in milliseconds. */
  get latencyMs(): number {
    return this.#latencyMs;
  }

  /**
   * Runs dispatches `times` times in one pass.
   *
   * @returns of all together
   * @throws {QuernError} if the device has failed
   */
  async time(dispatches: readonly Dispatch[], counts: Counts, times: number): Promise<Elapsed> {
    const { gpu } = this.#device;
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass(this.#timer?.pass);
    for (let i = 0; i < times; i += 1) encode(pass, dispatches, counts);
    pass.end();
    const read = this.#timer?.copy(encoder);
    const commands = encoder.finish();

    const beginCpu = this.#clock.cpu?.();
    const begin = this.#clock.now();
    gpu.queue.submit([commands]);
    await workDone(gpu.queue);
    const wallMs = Math.max(this.#clock.now() - begin - this.#latencyMs, 0);
    const cpuMs = beginCpu !== undefined && { cpuMs: (this.#clock.cpu?.() ?? 0) - beginCpu };
    const gpuMs = await read?.();
    this.#device.throwIfFailed();
    const isFine = gpuMs !== undefined && gpuMs >= FINE_ENOUGH * GPU_RESOLUTION_MS;
    return { ms: isFine ? gpuMs : wallMs, ...cpuMs };
  }

  /**
   * Runs dispatches as often as takes at least `leastMs`, but once at least.
   *
   * @returns of one time
   */
  async perTime(
    dispatches: readonly Dispatch[],
    counts: Counts,
    leastMs: number,
  ): Promise<Elapsed & { readonly times: number }> {
    let times = 1;
    for (;;) {
      const { ms, cpuMs } = await this.time(dispatches, counts, times);
      if (ms >= leastMs || times * dispatches.length >= MOST_DISPATCHES) {
        return { ms: ms / times, ...(cpuMs !== undefined && { cpuMs: cpuMs / times }), times };
      }
      // A little more than seems needed, since the first run may have been slow.
      const factor = ms > 0 ? (1.2 * leastMs) / ms : 10;
      times = Math.ceil(times * Math.min(Math.max(factor, 1.5), 20));
    }
  }

  dispose(): void {
    this.#timer?.dispose();
  }
}

/** So that a pass of dispatches that take no time ends. */
const MOST_DISPATCHES = 20_000;

function emptyPass(device: Device): GPUCommandBuffer {
  const encoder = device.gpu.createCommandEncoder();
  encoder.beginComputePass().end();
  return encoder.finish();
}
