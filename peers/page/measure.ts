/** What the page and the terminal that opened it have in common. @module */
import { compare } from '../compare.ts';
import type { Outcome, Skipped } from '../contest.ts';
import { entriesOf, type Kind } from '../entries.ts';
import type { About, Report } from '../report.ts';
import { openPageArena } from './arena.ts';

/** JSON. */
export interface PageOptions {
  readonly kinds: readonly Kind[];
  readonly filter: string;
  readonly repetitions: number;
  readonly runtime: string;
}

/** What a terminal puts into the page, for its own use; all go through JSON. */
export interface Terminal {
  /** CPU time of the browser in milliseconds, or null where that is not known. */
  readCpu(): Promise<number | null>;
  tellStart(about: About): void;
  tellOutcome(outcome: Outcome): void;
  tellSkipped(skipped: Skipped): void;
  tellEnd(end: { readonly report: Report } | { readonly failure: string }): void;
}

/** Returns before anything is measured, since that may take longer than one call of a page can. */
export function measureForTerminal({ kinds, filter, ...options }: PageOptions): boolean {
  // Put there by ../headless.ts.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const terminal = globalThis as unknown as Terminal;
  const arena = openPageArena(async () => (await terminal.readCpu()) ?? Number.NaN);
  compare(arena, entriesOf(kinds, filter), {
    ...options,
    onStart: (about) => terminal.tellStart(about),
    onOutcome: (outcome) => terminal.tellOutcome(outcome),
    onSkipped: (skipped) => terminal.tellSkipped(skipped),
  }).then(
    (report) => terminal.tellEnd({ report }),
    (error: unknown) => terminal.tellEnd({ failure: String(error) }),
  );
  return true;
}
