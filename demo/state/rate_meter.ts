import type { LoadProgress } from 'quern';
import type { Progress } from './types.ts';

/** Time over which the rate is taken, in milliseconds: long enough to be steady, short enough to follow. */
const WINDOW_MS = 5000;

/** Shortest time from which a rate is told. */
const MIN_MS = 300;

/** Adds rate and remaining time to a download's progress. */
export class RateMeter {
  readonly #now: () => number;
  #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  /** @param now - clock in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  measure(progress: LoadProgress): Progress {
    const { phase, loadedBytes, totalBytes } = progress;
    if (phase !== 'weights') return progress;
    const atMs = this.#now();
    this.#samples.push({ atMs, bytes: loadedBytes });
    // The first of the samples that are left is the last one from before the window.
    const inWindow = this.#samples.findIndex((sample) => sample.atMs > atMs - WINDOW_MS);
    this.#samples = this.#samples.slice(Math.max(0, inWindow - 1));
    const [first] = this.#samples;
    if (first === undefined || atMs - first.atMs < MIN_MS) return progress;
    const bytesPerSecond = (1000 * (loadedBytes - first.bytes)) / (atMs - first.atMs);
    if (bytesPerSecond <= 0) return progress;
    return {
      ...progress,
      bytesPerSecond,
      secondsLeft: Math.max(0, totalBytes - loadedBytes) / bytesPerSecond,
    };
  }
}
