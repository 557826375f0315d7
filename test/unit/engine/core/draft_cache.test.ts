import { expect, it } from 'vitest';
import { DraftCache } from '../../../../src/engine/core/draft_cache.ts';
import { Request } from '../../../../src/engine/core/request.ts';
import type { ScheduledStep, StepEntry } from '../../../../src/engine/core/scheduled_step.ts';
import { range } from './drive.ts';

const SIZES = {
  numBlocks: 8,
  pageSize: 4,
  contextLength: 32,
  maxSequences: 2,
  tokenBudget: 16,
  maxInFlight: 2,
} as const;

/** A step in which a slot has so many drafts verified that only the GPU knows. */
function stepOf(request: Request, slot: number, numDrafts: number): ScheduledStep {
  const entry = { request, slot, drafts: Array.from({ length: numDrafts }, () => -1) };
  return { entries: [entry as unknown as StepEntry] } as unknown as ScheduledStep;
}

it('begins anew in a slot that a request has come back to, with what it has computed', () => {
  const cache = new DraftCache(SIZES);
  const request = new Request(0, { prompt: range(6), speculates: true }, 32);
  request.status = 'running';
  const rounds = (slot: number): unknown =>
    [...cache.rounds(stepOf(request, slot, 2))].map(({ step: { entries } }) =>
      entries.map(({ slot, isFirst, start, count }) => ({ slot, isFirst, start, count })),
    );
  expect(rounds(1)).toEqual([
    [{ slot: 1, isFirst: true, start: 0, count: 6 }],
    [{ slot: 1, isFirst: false, start: 6, count: 1 }],
  ]);
  request.tokens.push(6, 7);
  cache.verified(request);
  expect(rounds(0)).toEqual([
    [{ slot: 0, isFirst: true, start: 7, count: 1 }],
    [{ slot: 0, isFirst: false, start: 8, count: 1 }],
  ]);
});
