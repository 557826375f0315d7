/** A model and all it needs on a device, and on another when that is lost. @module */
import type { Device } from '../gpu/device.ts';
import { DeviceLostError, DisposedError, type QuernError } from '../util/errors.ts';
import { orAbort } from '../util/or_abort.ts';
import { nameFailure, setUpOn } from './failure.ts';
import type { PlacedModel, Recovery } from './recovery.ts';

/** What runs a model's steps on one device. */
export interface StepRunner {
  readonly totals: RunnerTotals;
  /** Compiles all that steps need. */
  prepare(): Promise<void>;
  /** Has everything recorded anew when it is needed next. Nothing may be running. */
  forget(): void;
}

/** What was run on a device. */
export interface RunnerTotals {
  readonly steps: number;
  readonly dispatches: number;
  /** GPU time of all steps in milliseconds, where it is measured. */
  readonly gpuMs?: number;
}

/** What is on a device, and goes with it. */
export interface Residence<Model, R extends StepRunner> extends PlacedModel<Model> {
  readonly runner: R;
}

/** How a residence is looked after. */
export interface Care<Model> extends Pick<PlacedModel<Model>, 'tune'> {
  readonly recovery?: Recovery<Model>;
}

/** What is done with a residence, told by {@link Residency} what becomes of it. */
export interface Resident<Model, R extends StepRunner> {
  /** Allocates what requests need beside the weights. */
  settle(placed: PlacedModel<Model>): R;
  /** The device and its memory are gone; a new one is being set up. */
  onLost(): void;
  /** Works until nothing is left to do, or the residence is no longer live. What it throws is the device's failure. */
  work(residence: Residence<Model, R>): Promise<void>;
  /** Nothing can be run any more. Called once. */
  onFailed(error: QuernError): void;
}

/**
 * Keeps a model on a device. A lost device is replaced, whether or not anything runs; what is known on the CPU outlives
 * it. Runs one loop of work at a time.
 */
export class Residency<Model, R extends StepRunner> {
  readonly #resident: Resident<Model, R>;
  #residence: Residence<Model, R>;
  /** The residence that the loop works on, while it does. */
  #worksOn: Residence<Model, R> | undefined;
  /** There is more to do than the loop may have seen. */
  #hasMore = false;
  #recovery: Recovery<Model> | undefined;
  /** Settles when a recovery under way has ended; never rejects. */
  #recovering: Promise<void> | undefined;
  #failure: QuernError | undefined;
  /** What was run on devices that are lost. */
  #lostTotals: RunnerTotals = { steps: 0, dispatches: 0 };

  /**
   * @param placed - its device is disposed by {@link dispose}, or when it is lost
   * @throws {DeviceLimitError} if the device cannot hold what requests need
   */
  constructor(placed: PlacedModel<Model>, resident: Resident<Model, R>) {
    this.#resident = resident;
    this.#residence = { ...placed, runner: resident.settle(placed) };
    this.#watch(this.#residence);
  }

  /**
   * Compiles all that steps need, tunes it, and has a device that is lost later replaced, if `care` says how.
   *
   * @throws {OutOfMemoryError} if the GPU could not grant the memory
   * @throws {ShaderError} if a shader does not compile
   */
  async prepare({ recovery, tune }: Care<Model> = {}): Promise<void> {
    await prepareTuned(this.#residence.runner, tune);
    this.#recovery = recovery;
  }

  /** The device; while a lost one is being replaced, still that, without any memory. */
  get device(): Device {
    return this.#residence.device;
  }

  get model(): Model {
    return this.#residence.model;
  }

  /** The runner on the present device. */
  get runner(): R {
    return this.#residence.runner;
  }

  /** Lost devices that were replaced. */
  get recoveries(): number {
    return this.#recovery?.count ?? 0;
  }

  /** What was run, on all devices. */
  get totals(): RunnerTotals {
    return sum(this.#lostTotals, this.#residence.runner.totals);
  }

  /** @throws {QuernError} the device's failure, or {@link DisposedError} */
  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Starts the loop of work, unless it runs; while a lost device is being replaced it starts on the new one. */
  start(): void {
    const residence = this.#residence;
    this.#hasMore = true;
    if (this.#worksOn === residence || !this.isLive(residence)) return;
    this.#worksOn = residence;
    void this.#work(residence);
  }

  /** Whether steps may be run on this residence. */
  isLive(residence: Residence<Model, R>): boolean {
    return (
      this.#failure === undefined && this.#recovering === undefined && this.#residence === residence
    );
  }

  /** Ends everything with {@link DisposedError} and frees the GPU, also in the middle of a recovery. */
  async dispose(): Promise<void> {
    const error = new DisposedError();
    this.#fail(error);
    this.#recovery?.stop(error);
    await this.#recovering;
    const { device } = this.#residence;
    device.dispose();
    await device.gpu.lost;
  }

  /** Never rejects. */
  async #work(residence: Residence<Model, R>): Promise<void> {
    try {
      // More may come after the loop has found nothing left and before its end is known here.
      while (this.#hasMore && this.isLive(residence)) {
        this.#hasMore = false;
        // A caller that adds several requests in a row gets them into the same step.
        await Promise.resolve();
        await this.#resident.work(residence);
      }
    } catch (error) {
      // After a loss or the end the GPU calls under way fail too; that is known.
      if (this.isLive(residence)) {
        this.#onFailure(residence, await nameFailure(residence.device, error));
      }
    } finally {
      if (this.#worksOn === residence) this.#worksOn = undefined;
    }
  }

  #watch(residence: Residence<Model, R>): void {
    void residence.device.failed.then((error) => this.#onFailure(residence, error));
  }

  #onFailure(residence: Residence<Model, R>, error: QuernError): void {
    if (!this.isLive(residence)) return;
    if (error instanceof DeviceLostError && this.#recovery !== undefined) {
      this.#recovering = this.#recover(this.#recovery, error);
    } else {
      this.#fail(error);
    }
  }

  /** Goes on on a new device, or ends. Never rejects. */
  async #recover(recovery: Recovery<Model>, lost: DeviceLostError): Promise<void> {
    const { device } = this.#residence;
    this.#resident.onLost();
    // Before the new one is opened: there may not be memory for two.
    device.dispose();
    await device.gpu.lost;
    try {
      await recovery.replace(lost, (placed, signal) => this.#move(placed, signal));
    } catch (error) {
      if (error instanceof DeviceLostError) {
        this.#fail(error);
        recovery.tell('failed', error);
      }
    } finally {
      this.#recovering = undefined;
    }
    if (this.#failure !== undefined) return;
    this.#watch(this.#residence);
    this.start();
  }

  async #move(placed: PlacedModel<Model>, signal: AbortSignal): Promise<void> {
    const residence = await setUpOn(placed.device, signal, async () => {
      const runner = this.#resident.settle(placed);
      await orAbort(prepareTuned(runner, placed.tune, signal), signal);
      return { ...placed, runner };
    });
    this.#lostTotals = sum(this.#lostTotals, this.#residence.runner.totals);
    this.#residence = residence;
  }

  #fail(error: QuernError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#resident.onFailed(error);
  }
}

async function prepareTuned(
  runner: StepRunner,
  tune: PlacedModel<unknown>['tune'],
  signal?: AbortSignal,
): Promise<void> {
  await runner.prepare();
  if ((await tune?.(signal)) !== true) return;
  runner.forget();
  await runner.prepare();
}

function sum(a: RunnerTotals, b: RunnerTotals): RunnerTotals {
  const isTimed = a.gpuMs !== undefined || b.gpuMs !== undefined;
  return {
    steps: a.steps + b.steps,
    dispatches: a.dispatches + b.dispatches,
    ...(isTimed && { gpuMs: (a.gpuMs ?? 0) + (b.gpuMs ?? 0) }),
  };
}
