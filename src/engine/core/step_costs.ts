/** What one more measurement counts beside those before. */
const WEIGHT = 0.2;
/** A measurement counts as at most this much more than was expected: a browser that had other things to do is no news. */
const MAX_SURPRISE = 2;

/** The least that a step takes: clocks of browsers are coarse. */
const MIN_MS = 0.01;

/**
 * How long steps take by the number of their rows, as measured. Few rows cost about one reading of the weights where
 * memory is the limit, and as much as their number where arithmetic is, such as on a processor: nothing else tells.
 *
 * Plain steps overlap with each other, and verifications wait for their result; so they are kept apart.
 */
export class StepCosts {
  readonly #plain = new Map<number, number>();
  readonly #verify = new Map<number, number>();

  /**
   * @param rows - tokens of the step
   * @param elapsedMs - from its start, or the end of the step before, to its result
   */
  record(rows: number, isVerification: boolean, elapsedMs: number): void {
    const known = isVerification ? this.#verify : this.#plain;
    const before = known.get(rows);
    const capped = Math.min(Math.max(elapsedMs, MIN_MS), (before ?? Infinity) * MAX_SURPRISE);
    known.set(rows, before === undefined ? capped : before + WEIGHT * (capped - before));
  }

  /** Milliseconds of a step of so many rows without drafts; 1 before any is known. */
  plain(rows: number): number {
    return interpolate(this.#plain, rows) ?? 1;
  }

  /** The same of a step with drafts: until one was measured, no more than without. */
  verify(rows: number): number {
    const points = new Map([[1, this.plain(1)], ...this.#verify]);
    return this.#verify.size === 0 ? this.plain(rows) : (interpolate(points, rows) ?? 1);
  }
}

/** On the lines through the known points, of which the last goes on. */
function interpolate(points: ReadonlyMap<number, number>, x: number): number | undefined {
  const sorted = [...points].sort(([a], [b]) => a - b);
  const above = sorted.findIndex(([at]) => at >= x);
  const right = sorted.at(above);
  const left = sorted.at(above < 0 ? -2 : Math.max(0, above - 1)) ?? right;
  if (left === undefined || right === undefined) return undefined;
  const [x0, y0] = left;
  const [x1, y1] = right;
  if (x <= x0 || x0 === x1) return y0;
  const slope = (y1 - y0) / (x1 - x0);
  return x <= x1 ? y0 + slope * (x - x0) : y1 + Math.max(0, slope) * (x - x1);
}
