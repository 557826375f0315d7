/** How far a run is, in words. @module */
import { parseTest, type PlanProgress } from '../../src/bench/index.ts';
import { describeProgress as describeLoad, formatWait } from '../wording.ts';
import { nameOfTarget } from './models.ts';
import { describeTest } from './wording.ts';

/** All of it in a line: `SmolLM2 135M in 4 bits: repetition 2 of 5, writes 32 tokens — 40 %, about 12 s left` */
export function describeProgress(progress: PlanProgress | undefined): string {
  if (progress === undefined) return 'starting';
  const rest = describeRest(progress);
  return [
    `${nameOfTarget(progress.target)}: ${describeNow(progress)} — ${percentOf(progress)} %`,
    ...(rest === undefined ? [] : [rest]),
  ].join(', ');
}

/** What is measured now, and for the how-manieth time: `repetition 2 of 5, writes 32 tokens` */
export function describeNow(progress: PlanProgress): string {
  const round = describeRound(progress);
  return [...(round === undefined ? [] : [round]), describeTask(progress)].join(', ');
}

/** What is measured now. */
export function describeTask({ phase, test, load }: PlanProgress): string {
  switch (phase) {
    case 'load':
      // The model is ready then, what it is measured with is not.
      return load === undefined || load.phase === 'ready' ? 'gets ready' : describeLoad(load);
    case 'peaks':
      return 'what the GPU can do at most';
    case 'test':
      return test === undefined ? 'a test' : describeTest(parseTest(test));
    case 'profile':
      return `every kernel of ${test ?? ''}`;
    case 'check':
      return 'once more what the GPU can do at most';
    case 'reload':
      return 'loads a second time';
  }
}

/** `repetition 2 of 5`, which all tests take turns in; undefined where nothing is repeated. */
export function describeRound({ phase, done, of = 0 }: PlanProgress): string | undefined {
  if (phase !== 'test') return undefined;
  return done === undefined ? 'warming up' : `repetition ${done + 1} of ${of}`;
}

/** `about 12 s left`; undefined where that is not known yet. */
export function describeRest({ leftMs }: PlanProgress): string | undefined {
  return leftMs === undefined ? undefined : `about ${formatWait(leftMs / 1000)} left`;
}

/** Whole percents of the run that are done. */
export function percentOf({ fraction }: PlanProgress): number {
  return Math.floor(100 * fraction);
}
