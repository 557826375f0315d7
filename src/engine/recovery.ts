/** What becomes of a lost device. @module */
import type { Device } from '../gpu/device.ts';
import { DeviceLostError } from '../util/errors.ts';
import type { RecoveryEvent } from './api.ts';
import { messageOf } from './failure.ts';

/** A device and a model whose weights are on it. Whoever has it disposes the device. */
export interface PlacedModel<Model> {
  readonly device: Device;
  readonly model: Model;
  /** A smaller model on the same device that guesses what the other says. */
  readonly draft?: Model | undefined;
  /** Measures what has been recorded on the device; see `Tuner.run`. Absent: nothing is measured. */
  readonly tune?: ((signal?: AbortSignal) => Promise<boolean>) | undefined;
}

export interface RecoveryOptions<Model> {
  /** Opens a device and puts the weights on it, as at load; leaves nothing behind when it rejects. */
  readonly place: (signal: AbortSignal) => Promise<PlacedModel<Model>>;
  readonly onRecovery?: ((event: RecoveryEvent) => void) | undefined;
  /** Monotonic clock in milliseconds; default `performance.now`. */
  readonly now?: (() => number) | undefined;
}

/** Attempts within any {@link WINDOW_MS}. A device that is lost more often would be lost again and again. */
const MAX_ATTEMPTS = 2;
const WINDOW_MS = 60_000;

/** Replaces lost devices, as often as is sensible, and tells of it. */
export class Recovery<Model> {
  readonly #place: RecoveryOptions<Model>['place'];
  readonly #onRecovery: RecoveryOptions<Model>['onRecovery'];
  readonly #now: () => number;
  readonly #stopped: AbortController = new AbortController();
  /** When the latest attempts began. */
  #attemptsMs: readonly number[] = [];
  #count = 0;

  constructor({ place, onRecovery, now = () => performance.now() }: RecoveryOptions<Model>) {
    this.#place = place;
    this.#onRecovery = onRecovery;
    this.#now = now;
  }

  /** Devices replaced so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * Puts the model on a new device; when that is lost meanwhile, on another.
   *
   * @param move - takes the placed model, or disposes its device and rejects
   * @throws {DeviceLostError} if devices were lost too often lately, or there is no new one; `cause` says why
   * @throws the reason of {@link stop}
   */
  async replace(
    lost: DeviceLostError,
    move: (placed: PlacedModel<Model>, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const { signal } = this.#stopped;
    for (let latest = lost; ;) {
      this.#countAttempt(latest);
      this.tell('lost', latest);
      try {
        await move(await this.#place(signal), signal);
        this.#count += 1;
        this.tell('recovered', latest);
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof DeviceLostError)) {
          const why = `and could not be replaced: ${messageOf(error)}; load the model again`;
          throw lossOf(latest, why, error);
        }
        latest = error;
      }
    }
  }

  /** Tells the listener, whose own failures are reported as those of event listeners are. */
  tell(phase: RecoveryEvent['phase'], { reason, message }: DeviceLostError): void {
    const listener = this.#onRecovery;
    if (listener === undefined || this.#stopped.signal.aborted) return;
    queueMicrotask(() => listener({ phase, reason: reason ?? message }));
  }

  /** Ends a replacement under way, which frees what it has, and tells nothing any more. */
  stop(reason: unknown): void {
    this.#stopped.abort(reason);
  }

  /** @throws {DeviceLostError} if there were as many lately as are sensible */
  #countAttempt(lost: DeviceLostError): void {
    const nowMs = this.#now();
    const recent = this.#attemptsMs.filter((startMs) => startMs > nowMs - WINDOW_MS);
    if (recent.length >= MAX_ATTEMPTS) {
      throw lossOf(
        lost,
        `again, after ${MAX_ATTEMPTS} recoveries within a minute; close other tabs that use the GPU, or choose a smaller model or a shorter context, and load the model again`,
        lost,
      );
    }
    this.#attemptsMs = [...recent, nowMs];
  }
}

/** The loss, and why it is the end. */
function lossOf(
  { reason, message }: DeviceLostError,
  why: string,
  cause: unknown,
): DeviceLostError {
  const said = reason ?? message;
  return new DeviceLostError(`device: lost (${said}) ${why}`, { cause, reason: said });
}
