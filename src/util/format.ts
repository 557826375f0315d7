const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

/** A size with the unit that keeps it below 1024, e.g. `10.3 MiB`. */
export function formatBytes(bytes: number): string {
  const exponent = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), UNITS.length - 1);
  const value = bytes / 1024 ** exponent;
  return `${exponent === 0 ? value : value.toFixed(1)} ${UNITS[exponent] ?? ''}`;
}

/** A rate or time with three significant digits, without an exponent. */
export function formatNumber(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const digits = 2 - Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.min(Math.max(digits, 0), 20));
}

/** A share as a percentage, e.g. `81.3 %`. */
export function formatShare(share: number): string {
  return `${formatNumber(100 * share)} %`;
}
