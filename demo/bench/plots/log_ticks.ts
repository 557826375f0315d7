/**
 * Ticks of a logarithmic axis: 1, 2 and 5 of each power of ten where these are few, otherwise powers of ten, and of these
 * every second or third where even they are too many.
 *
 * @param most - ticks at most
 */
export function logTicks(min: number, max: number, most: number): readonly number[] {
  const [first, last] = [Math.floor(Math.log10(min)), Math.ceil(Math.log10(max))];
  const powers = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const inside = (ticks: readonly number[]): readonly number[] =>
    ticks.filter((tick) => tick >= min * (1 - 1e-9) && tick <= max * (1 + 1e-9));
  const fine = inside(powers.flatMap((power) => [1, 2, 5].map((digit) => scaled(digit, power))));
  if (fine.length <= most) return fine;
  for (let step = 1; ; step += 1) {
    const coarse = inside(
      powers.filter((power) => power % step === 0).map((power) => scaled(1, power)),
    );
    if (coarse.length <= Math.max(2, most)) return coarse;
  }
}

/** Exactly what one would write, e.g. 0.2 and not 0.2000…1. */
function scaled(digit: number, power: number): number {
  return Number(`${digit}e${power}`);
}
