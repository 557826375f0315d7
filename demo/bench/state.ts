/** What the benchmark page measures and shows. @module */
import { type Signal, signal } from '@preact/signals';
import type { BenchReport, PlanProgress } from '../../src/bench/index.ts';
import type { Problem } from '../problem.ts';
import { type BenchRecord, RecordStore } from './records/record_store.ts';

/** Something that was to be measured and was not. */
export interface Failure {
  /** What was to be measured; empty if it was all of it. */
  readonly target: string;
  /** The error as it names itself, on one line. */
  readonly error: string;
  readonly problem: Problem;
}

/** How the last run of this page ended. */
export interface RunEnd {
  readonly isCancelled: boolean;
  /** What was finished. */
  readonly reports: readonly BenchReport[];
  /** GPU memory that its models left behind, of those that were loaded: none unless there is a leak. */
  readonly leftBytes: number;
}

/** A run under way. While there is one, the page draws nothing but how far it is. */
export interface Running {
  /** Missing until something is known. */
  readonly progress?: PlanProgress;
  readonly cancel: () => void;
}

/** Earlier runs, and what was imported. */
export const store: RecordStore = new RecordStore();
export const running: Signal<Running | undefined> = signal();
export const lastRun: Signal<RunEnd | undefined> = signal();
/** What went wrong in the last run. */
export const failures: Signal<readonly Failure[]> = signal([]);
/** What the page shows: the last run, or what was opened since. */
export const shown: Signal<BenchRecord | undefined> = signal();
/** Ids of the records that are checked to be compared. */
export const compared: Signal<ReadonlySet<string>> = signal(new Set<string>());
/** Whether there are results that nobody has been taken to yet. */
export const hasNews: Signal<boolean> = signal(false);
