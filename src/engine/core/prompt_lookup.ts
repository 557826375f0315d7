/**
 * Drafts from the request's own tokens: where its last few tokens stood before, what followed them may follow again.
 *
 * ```text
 *   … t h e  c a t  s a t │ o n │ … t h e  c a t  s a t │ ?         the run "the cat sat" stood before:
 *         └──── run ────┘   └────────────────────────────────>      draft "on …"
 * ```
 *
 * Prompt lookup decoding: Saxena 2023, https://github.com/apoorvumang/prompt-lookup-decoding.
 *
 * @module
 */

import type { Request } from './request.ts';
import type { Drafter } from './speculation.ts';

/** A run that is shorter stands somewhere by chance too often. */
const MIN_RUN = 2;
/** A longer run says no more. */
const MAX_RUN = 8;

/** Guesses that a text repeats itself, or quotes its prompt. */
export const PROMPT_LOOKUP: Drafter = {
  canDraft: ({ tokens }: Request) => lookUp(tokens, 1).length > 0,
  draft: ({ tokens }: Request, most: number) => lookUp(tokens, most),
  verified: () => undefined,
};

/**
 * What followed the last tokens where they stood before: after the longest such run, and of equals after the last. Where
 * that reaches the end it goes on into the guess itself, so that a period repeats.
 *
 * @returns `most` tokens, or none if no run of {@link MIN_RUN} tokens stood before
 */
export function lookUp(tokens: readonly number[], most: number): readonly number[] {
  let best = 0;
  let next = 0;
  for (let end = tokens.length - 1; end >= MIN_RUN && best < MAX_RUN; end--) {
    const run = commonRun(tokens, end);
    if (run > best) {
      best = run;
      next = end;
    }
  }
  if (best < MIN_RUN) return [];
  const period = tokens.length - next;
  return Array.from({ length: most }, (_, i) => tokens[next + (i % period)] ?? -1);
}

/** Tokens before `end` that are the same as the last ones, up to {@link MAX_RUN}. */
function commonRun(tokens: readonly number[], end: number): number {
  const most = Math.min(MAX_RUN, end);
  let run = 0;
  while (run < most && tokens[end - 1 - run] === tokens[tokens.length - 1 - run]) run++;
  return run;
}
