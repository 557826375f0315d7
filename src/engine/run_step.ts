import type { Work } from '../gpu/cost.ts';
import type { Recording } from '../gpu/recording.ts';
import type { Counts } from '../gpu/tensor.ts';

/** A step as it was run: what it takes to run it again for a measurement. */
export interface RunStep {
  readonly recording: Recording;
  readonly work: Work;
}

/** New tokens of a sequence, and its keys with them. */
interface Part {
  readonly count: number;
  readonly kvLength: number;
}

/** What the causal attention of a step has to do. @param window - keys that a token sees, its own included */
export function causalWork(
  counts: Counts,
  parts: readonly Part[],
  window: number = Infinity,
): Work {
  let [kvTokens, pairs] = [0, 0];
  for (const { count, kvLength } of parts) {
    kvTokens += Math.min(kvLength, window + count - 1);
    for (let keys = kvLength - count + 1; keys <= kvLength; keys += 1) {
      pairs += Math.min(keys, window);
    }
  }
  return { counts, kvTokens, pairs };
}

/** What attention of every token of a sequence to every other has to do. */
export function bidirectionalWork(counts: Counts, lengths: readonly number[]): Work {
  const kvTokens = lengths.reduce((sum, length) => sum + length, 0);
  const pairs = lengths.reduce((sum, length) => sum + length ** 2, 0);
  return { counts, kvTokens, pairs };
}
