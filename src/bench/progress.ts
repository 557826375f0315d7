import type { LoadProgress } from '../engine/api.ts';

/** How far a run is. */
export interface BenchProgress {
  /** `check`: the ceilings once more; `reload`: the second load. */
  readonly phase: 'load' | 'peaks' | 'test' | 'profile' | 'check' | 'reload';
  readonly test?: string;
  /** Repetitions done, of how many; absent while a test warms up. */
  readonly done?: number;
  readonly of?: number;
  /** How far a load is. */
  readonly load?: LoadProgress;
  /** Of all of the run, 0 to 1; never falls. */
  readonly fraction: number;
  /** What is left of the run in milliseconds, once that can be told. */
  readonly leftMs?: number;
}

/** Told of progress; what it returns is awaited before the measurement goes on, so that a page can paint in between. */
export type OnBench = (progress: BenchProgress) => void | Promise<void>;

/** What is known of steps that are alike. */
interface Steps {
  /** How long each takes about, in a unit that all of a run's steps share. */
  readonly cost: number;
  left: number;
  done: number;
  ms: number;
}

/** Tells how far a run of known steps is, and from the time of those done how long the rest takes. */
export class ProgressMeter {
  readonly #steps = new Map<string, Steps>();
  readonly #now: () => number;
  readonly #onBench: OnBench | undefined;
  readonly #startMs: number;
  #fraction = 0;
  #hasTested = false;

  constructor(now: () => number, onBench: OnBench | undefined) {
    this.#now = now;
    this.#onBench = onBench;
    this.#startMs = now();
  }

  /** Plans steps, or plans them anew. */
  expect(key: string, cost: number, count = 1): void {
    this.#steps.set(key, { cost, left: count, done: 0, ms: 0 });
  }

  /** Plans none of these steps anymore. */
  forget(keys: Iterable<string>): void {
    for (const key of keys) this.#steps.delete(key);
  }

  /** Tells of a step, takes it, and learns how long that was. */
  async step<T>(
    key: string,
    what: Omit<BenchProgress, 'fraction' | 'leftMs'>,
    run: () => Promise<T>,
  ): Promise<T> {
    await this.#onBench?.(this.#progress(what));
    const begin = this.#now();
    const result = await run();
    const steps = this.#steps.get(key);
    if (steps !== undefined) {
      steps.left = Math.max(0, steps.left - 1);
      steps.done += 1;
      steps.ms += this.#now() - begin;
    }
    this.#hasTested ||= what.phase === 'test';
    return result;
  }

  /** Tells how far a load is, which waits for nobody. */
  loading(phase: 'load' | 'reload', load: LoadProgress): void {
    void this.#onBench?.(this.#progress({ phase, load }));
  }

  #progress(what: Omit<BenchProgress, 'fraction' | 'leftMs'>): BenchProgress {
    const all = [...this.#steps.values()];
    const total = (of: (steps: Steps) => number): number =>
      all.reduce((sum, steps) => sum + of(steps), 0);
    const doneCost = total(({ cost, done }) => cost * done);
    const share = what.load === undefined ? 0 : loadedShare(what.load);
    const loading = share * (this.#steps.get(what.phase)?.cost ?? 0);
    const leftCost = total(({ cost, left }) => cost * left) - loading;
    // Steps that were taken tell of those like them; the rest go by what the estimated costs have come to so far.
    const msPerCost = doneCost === 0 ? undefined : total(({ ms }) => ms) / doneCost;
    const leftMs =
      msPerCost === undefined
        ? undefined
        : total(({ cost, left, done, ms }) => left * (done > 0 ? ms / done : cost * msPerCost));
    const elapsedMs = this.#now() - this.#startMs;
    const fraction =
      leftMs === undefined
        ? loading / Math.max(leftCost + loading, 1)
        : elapsedMs / Math.max(elapsedMs + leftMs, Number.MIN_VALUE);
    this.#fraction = Math.min(1, Math.max(this.#fraction, fraction));
    // Loading and ceilings tell little of how long tests take.
    const canTell = this.#hasTested && leftMs !== undefined;
    return { ...what, fraction: this.#fraction, ...(canTell && { leftMs }) };
  }
}

/** Of a load, shaders included: files are most of it. */
function loadedShare({ phase, loadedBytes, totalBytes }: LoadProgress): number {
  if (phase === 'files') return 0;
  if (phase !== 'weights') return 0.8;
  return totalBytes === 0 ? 0 : (0.8 * loadedBytes) / totalBytes;
}
