import type { ConversationInfo } from '../state/types.ts';

/** Conversations of one stretch of time. */
export interface DateGroup<T> {
  readonly name: string;
  readonly items: readonly T[];
}

/**
 * Groups what is in order of time by how long ago it was: days, then weeks, then months.
 *
 * @param items - the latest first
 * @param now - milliseconds since 1970
 */
export function groupByDate<T extends Pick<ConversationInfo, 'updatedAt'>>(
  items: readonly T[],
  now: number,
): readonly DateGroup<T>[] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = nameOf(item.updatedAt, now);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [item]);
    else group.push(item);
  }
  return [...groups].map(([name, items]) => ({ name, items }));
}

function nameOf(time: number, now: number): string {
  // Noon to noon, because a day may have 23 or 25 hours.
  const days = Math.round((noonOf(now) - noonOf(time)) / 86_400_000);
  if (days <= 0) return 'Today';
  if (days === 1) return 'Yesterday';
  if (days <= 7) return 'Last 7 days';
  if (days <= 30) return 'Last 30 days';
  return new Date(time).toLocaleDateString('en', { month: 'long', year: 'numeric' });
}

function noonOf(time: number): number {
  return new Date(time).setHours(12, 0, 0, 0);
}
