/** Smallest multiple of `step` that is at least `n`; both are non-negative integers. */
export function roundUp(n: number, step: number): number {
  return Math.ceil(n / step) * step;
}

/** Number of pieces of size `step` that cover `n`. */
export function divCeil(n: number, step: number): number {
  return Math.ceil(n / step);
}

/** Smallest power of two that is at least `n`, for `n ≥ 1`. */
export function nextPowerOfTwo(n: number): number {
  return 2 ** Math.ceil(Math.log2(n));
}
