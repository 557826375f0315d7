import { longestBeginning } from './stop_strings.ts';

/** An edit of a text that comes in pieces; returns what is final, holds back what it may still change. */
export interface TextPass {
  push(text: string): string;
  /** Ends the text and returns the rest. */
  flush(): string;
}

/** Removes up to `start` times a character at the beginning and up to `stop` times at the end. */
export class StripPass implements TextPass {
  readonly #char: string;
  readonly #stop: number;
  #toStrip: number;
  #held = '';

  constructor(char: string, start: number, stop: number) {
    this.#char = char;
    this.#toStrip = start;
    this.#stop = stop;
  }

  push(text: string): string {
    let from = 0;
    while (this.#toStrip > 0 && from < text.length) {
      if (text[from] === this.#char) {
        from++;
        this.#toStrip--;
      } else {
        this.#toStrip = 0;
      }
    }
    const pending = this.#held + text.slice(from);
    let end = pending.length;
    while (pending.length - end < this.#stop && pending[end - 1] === this.#char) end--;
    this.#held = pending.slice(end);
    return pending.slice(0, end);
  }

  flush(): string {
    return '';
  }
}

/** Replaces every occurrence of a string. */
export class ReplacePass implements TextPass {
  readonly #from: string;
  readonly #to: string;
  #held = '';

  constructor(from: string, to: string) {
    this.#from = from;
    this.#to = to;
  }

  push(text: string): string {
    const parts = (this.#held + text).split(this.#from);
    const last = parts.pop() ?? '';
    const end = last.length - longestBeginning(last, [this.#from]);
    this.#held = last.slice(end);
    return [...parts, last.slice(0, end)].join(this.#to);
  }

  flush(): string {
    return this.#held;
  }
}

const CLEAN_UP: readonly (readonly [string, string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

/** `clean_up_tokenization` of Transformers (tokenization_utils_base.py), in its order. */
export const cleanUpPasses: readonly (() => TextPass)[] = CLEAN_UP.map(
  ([from, to]) =>
    () =>
      new ReplacePass(from, to),
);
