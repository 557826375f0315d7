/** Figures as the page writes them. @module */
import type { BenchTest, Spread } from '../../src/bench/index.ts';

/** Three significant digits and groups of thousands: `12,300`, `45.6`, `0.0789`. */
export function formatFigure(value: number): string {
  if (!Number.isFinite(value)) return '–';
  return value.toLocaleString('en', { maximumSignificantDigits: 3 });
}

/** `61 %`, `0.4 %` */
export function formatPercent(share: number): string {
  const percent = 100 * share;
  return `${percent < 10 ? percent.toLocaleString('en', { maximumSignificantDigits: 2 }) : Math.round(percent)} %`;
}

/** The least and the most of some runs, `45.1–46.2`; nothing of a single one. */
export function formatRange({ min, max, runs }: Spread): string {
  return runs.length > 1 ? `${formatFigure(min)}–${formatFigure(max)}` : '';
}

/** Milliseconds: `0.8 ms`, `85 ms`, `1.4 s` */
export function formatMs(ms: number): string {
  return ms < 1000 ? `${formatFigure(ms)} ms` : `${formatFigure(ms / 1000)} s`;
}

/** The least and the most in the unit that `formatMs` gives the median: `1.08–3.05 s`; nothing of a single run. */
export function formatMsRange(spread: Spread): string {
  const [factor, unit] = spread.median < 1000 ? [1, 'ms'] : [1000, 's'];
  const { min, max, runs } = spread;
  return runs.length > 1
    ? `${formatFigure(min / factor)}–${formatFigure(max / factor)} ${unit}`
    : '';
}

/** With a capital and a full stop. */
export function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}

/** What a test does, to complete “measures how fast the model …”. */
export function describeTest(test: BenchTest): string {
  const tokens = (count: number): string =>
    `${count.toLocaleString('en')} ${count === 1 ? 'token' : 'tokens'}`;
  const after = (depth: number): string => (depth === 0 ? '' : ` after ${tokens(depth)}`);
  switch (test.kind) {
    case 'prefill':
      return `reads a prompt of ${tokens(test.tokens)}${after(test.depth)}`;
    case 'decode':
      return test.streams === 1
        ? `writes ${tokens(test.tokens)}${after(test.depth)}`
        : `writes ${test.streams} replies of ${tokens(test.tokens)} at once${after(test.depth)}`;
    case 'encode':
      return test.texts === 1
        ? `encodes a text of ${tokens(test.tokens)}`
        : `encodes ${test.texts} texts of ${tokens(test.tokens)} at once`;
  }
}
