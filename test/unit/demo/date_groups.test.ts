import { expect, it } from 'vitest';
import { groupByDate } from '../../../demo/components/date_groups.ts';

it('groups by days, weeks and months, in order', () => {
  const now = new Date(2026, 2, 30, 0, 30).getTime();
  const at = (...date: [number, number, number, number]): { updatedAt: number } => ({
    updatedAt: new Date(...date).getTime(),
  });
  const items = [
    at(2026, 2, 30, 0),
    // The clocks were changed that night in Europe.
    at(2026, 2, 29, 23),
    at(2026, 2, 28, 23),
    at(2026, 2, 23, 0),
    at(2026, 2, 22, 23),
    at(2026, 1, 28, 0),
    at(2026, 1, 27, 23),
    at(2025, 11, 31, 12),
  ];
  const groups = groupByDate(items, now);
  expect(groups.map(({ name, items }) => [name, items.length])).toEqual([
    ['Today', 1],
    ['Yesterday', 1],
    ['Last 7 days', 2],
    ['Last 30 days', 2],
    ['February 2026', 1],
    ['December 2025', 1],
  ]);
  expect(groups.flatMap(({ items }) => items)).toEqual(items);
});
