import { RequestError } from '../util/errors.ts';

/** Text that can be shown, and whether a stop string ended it. */
export interface StoppableText {
  readonly text: string;
  readonly stopped: boolean;
}

/**
 * Cuts a stream of text before the first stop string that is completed in it.
 *
 * "First" is the one that ends first; among those that end at the same place, the longest. The outcome is
 * therefore decided as soon as the text contains a stop string, and it does not depend on how the text is split
 * into pieces.
 */
export class StopStrings {
  readonly #stops: readonly string[];
  /** End of the text so far that may be the beginning of a stop string. */
  #held = '';
  #stopped = false;

  /** @throws {RequestError} if a stop string is empty or not a string */
  constructor(stops: readonly string[]) {
    for (const stop of stops) {
      if (typeof stop !== 'string' || stop === '') {
        throw new RequestError(`stop: found ${JSON.stringify(stop)}, expected a non-empty string`, {
          param: 'stop',
        });
      }
    }
    this.#stops = stops;
  }

  /** Takes the next piece of text; returns what can be shown now. After a stop there is no more text. */
  push(text: string): StoppableText {
    if (this.#stopped) return { text: '', stopped: true };
    const pending = this.#held + text;
    const cut = firstCompleted(pending, this.#stops);
    if (cut !== undefined) {
      this.#held = '';
      this.#stopped = true;
      return { text: pending.slice(0, cut), stopped: true };
    }
    const shown = pending.length - longestBeginning(pending, this.#stops);
    this.#held = pending.slice(shown);
    return { text: pending.slice(0, shown), stopped: false };
  }

  /** Returns the text held back, at the end of the stream. */
  flush(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }
}

/** Length of the longest end of `text` that is a beginning, but not the whole, of one of `patterns`. */
export function longestBeginning(text: string, patterns: readonly string[]): number {
  let longest = 0;
  for (const pattern of patterns) {
    let length = Math.min(text.length, pattern.length - 1);
    while (length > longest && !text.endsWith(pattern.slice(0, length))) length--;
    longest = Math.max(longest, length);
  }
  return longest;
}

/** Start of the stop string that ends first in `text`. */
function firstCompleted(text: string, stops: readonly string[]): number | undefined {
  let start: number | undefined;
  let end = Infinity;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at < 0 || at + stop.length > end) continue;
    start = at + stop.length === end ? Math.min(start ?? at, at) : at;
    end = at + stop.length;
  }
  return start;
}
