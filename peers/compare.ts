/** Runs contests one after the other. @module */
import type { DeviceFacts } from '../src/gpu/facts.ts';
import type { Arena } from './arena.ts';
import { CannotRun, hold, type Entry, type Outcome, type Skipped } from './contest.ts';
import type { About, Report } from './report.ts';

export interface CompareOptions {
  readonly repetitions: number;
  /** Node's version, or the browser's own name. */
  readonly runtime: string;
  readonly signal?: AbortSignal;
  /** Is told what it is before anything is measured. */
  readonly onStart?: (about: About) => void;
  readonly onEntry?: (entry: Entry, index: number) => void;
  readonly onOutcome?: (outcome: Outcome) => void;
  readonly onSkipped?: (skipped: Skipped) => void;
}

/** @throws if a model does not run on both engines, or not with the same results; the signal's reason between two of them */
export async function compare(
  arena: Arena,
  entries: readonly Entry[],
  { repetitions, runtime, signal, ...listeners }: CompareOptions,
): Promise<Report> {
  const peer = await arena.openPeer();
  const device = await arena.openDevice();
  const about = { adapter: adapterName(device.facts), runtime, peer: peer.version, repetitions };
  device.dispose();
  listeners.onStart?.(about);
  const outcomes: Outcome[] = [];
  const skipped: Skipped[] = [];
  for (const [i, entry] of entries.entries()) {
    signal?.throwIfAborted();
    listeners.onEntry?.(entry, i);
    try {
      for (const outcome of await hold(entry, arena, repetitions)) {
        outcomes.push(outcome);
        listeners.onOutcome?.(outcome);
      }
    } catch (error) {
      if (!(error instanceof CannotRun)) throw error;
      const { name, peer } = entry;
      skipped.push({ name, peer, reason: error.message });
      listeners.onSkipped?.({ name, peer, reason: error.message });
    }
  }
  return { ...about, outcomes, skipped };
}

function adapterName({ vendor, architecture, description }: DeviceFacts): string {
  return [vendor, architecture, description].filter((name) => name !== '').join(' ');
}
