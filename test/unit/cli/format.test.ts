import { describe, expect, it } from 'vitest';
import { formatBytes, formatNumber, formatTable, summarize } from '../../../src/cli/format.ts';

describe('format', () => {
  it.each([
    [0, '0 bytes'],
    [1023, '1023 bytes'],
    [1024, '1.0 KiB'],
    [10_809_704, '10.3 MiB'],
    [2 ** 32, '4.0 GiB'],
    [2 ** 60, '1048576.0 TiB'],
  ])('writes %d bytes', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    [0, '0'],
    [0.001234, '0.00123'],
    [1.5, '1.50'],
    [26.83, '26.8'],
    [123_456.7, '123457'],
    [Number.NaN, 'NaN'],
  ])('writes the number %d', (value, text) => expect(formatNumber(value)).toBe(text));

  it('aligns tables', () => {
    const rows = [
      ['name', 'a', 'bb'],
      ['x', '100'],
      ['longer', '1', '2'],
    ];
    expect(formatTable(rows)).toBe('name      a  bb\nx       100\nlonger    1   2\n');
    expect(formatTable([])).toBe('');
  });

  it('summarizes odd and even numbers of values', () => {
    expect(summarize([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
    expect(summarize([4, 1, 2, 10])).toEqual({ median: 3, min: 1, max: 10 });
    expect(summarize([7])).toEqual({ median: 7, min: 7, max: 7 });
  });
});
