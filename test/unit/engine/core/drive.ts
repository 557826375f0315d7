/** Short hands for tests that drive a scheduler step by step. */
import { expect } from 'vitest';
import { Scheduler } from '../../../../src/engine/core/scheduler.ts';
import type { ScheduledStep, TokenEvent } from '../../../../src/engine/core/scheduled_step.ts';
import type { SchedulerOptions } from '../../../../src/engine/core/scheduler_options.ts';

const DEFAULTS: SchedulerOptions = {
  numBlocks: 64,
  pageSize: 4,
  contextLength: 64,
  maxSequences: 4,
  tokenBudget: 16,
  maxInFlight: 2,
};

export const range = (count: number, from = 0): number[] =>
  Array.from({ length: count }, (_, i) => from + i);

export function create(options: Partial<SchedulerOptions> = {}): Scheduler {
  return new Scheduler({ ...DEFAULTS, ...options });
}

/** The next step, which must exist. */
export function next(scheduler: Scheduler): ScheduledStep {
  const step = scheduler.schedule();
  if (step === undefined) {
    return expect.fail('no step was scheduled');
  }
  return step;
}

export function complete(
  scheduler: Scheduler,
  step: ScheduledStep,
  token = 50,
): readonly TokenEvent[] {
  return scheduler.complete(
    step,
    step.entries.map(() => [token]),
  ).events;
}

/** One step from plan to result. */
export function advance(scheduler: Scheduler, token = 50): readonly TokenEvent[] {
  return complete(scheduler, next(scheduler), token);
}

export const shape = (step: ScheduledStep): number[][] =>
  step.entries.map(({ request, start, count }) => [request.id, start, count]);
