import type { SampleParams } from '../../src/kernels/sample.ts';

/** What the sampler should do with one row, computed in float64. */
export interface ReferenceDraw {
  readonly token: number;
  /** Tokens that may be drawn, ascending. */
  readonly kept: readonly number[];
  /**
   * How far the decisions are from falling the other way: the relative distance of masses to top-p, of weights
   * to min-p, of the first to the second in the race, and the gap below the last token that top-k, top-p or
   * greedy choice keeps. f32 cannot be held to tiny ones.
   */
  readonly margin: number;
}

/** History of one slot: what the GPU keeps in one word for each token. */
export interface ReferenceHistory {
  readonly prompt: ReadonlySet<number>;
  readonly times: ReadonlyMap<number, number>;
}

/** Penalized and biased logits. */
export function adjusted(
  logits: ArrayLike<number>,
  params: SampleParams,
  history: ReferenceHistory,
  bias: ReadonlyMap<number, number>,
): Float64Array {
  const { repetitionPenalty, frequencyPenalty, presencePenalty, keepsHistory } = params;
  return Float64Array.from(logits, (logit, token) => {
    let z = logit;
    const times = history.times.get(token) ?? 0;
    if (keepsHistory && (times > 0 || history.prompt.has(token))) {
      z = z > 0 ? z / repetitionPenalty : z * repetitionPenalty;
      z -= frequencyPenalty * times + (times > 0 ? presencePenalty : 0);
    }
    return Math.min(1e30, Math.max(-1e30, z + (bias.get(token) ?? 0)));
  });
}

/** Chooses a token from adjusted logits by sorting them. */
export function draw(z: Float64Array, params: SampleParams): ReferenceDraw {
  const order = Array.from(z.keys()).sort((a, b) => at(z, b) - at(z, a) || a - b);
  const best = at(z, order[0] ?? 0);
  // Values that differ only by rounding may trade places; equal ones are a tie for the GPU, too.
  const gapAfter = (count: number): number => {
    const gap = at(z, order[count - 1] ?? 0) - at(z, order[count] ?? 0);
    return count < z.length && gap > 0 ? gap : 1;
  };
  if (params.temperature === 0) {
    return { token: order[0] ?? 0, kept: order.slice(0, 1), margin: gapAfter(1) };
  }

  let margin = 1;
  const weight = (token: number): number => Math.exp((at(z, token) - best) / params.temperature);
  const isTopK = params.topK > 0 && params.topK < z.length;
  const kth = isTopK ? at(z, order[params.topK - 1] ?? 0) : Number.NEGATIVE_INFINITY;
  let kept = order.filter((token) => at(z, token) >= kth);
  margin = Math.min(margin, gapAfter(kept.length));

  if (params.topP < 1) {
    const goal = Math.fround(params.topP) * kept.reduce((sum, token) => sum + weight(token), 0);
    let [mass, last] = [0, best];
    for (const token of kept) {
      if (mass >= goal && at(z, token) < last) break;
      mass += weight(token);
      last = at(z, token);
      margin = Math.min(margin, Math.abs(mass - goal) / goal);
    }
    kept = kept.filter((token) => at(z, token) >= last);
    margin = Math.min(margin, gapAfter(kept.length));
  }
  const minP = Math.fround(params.minP);
  if (minP > 0) {
    for (const token of kept) margin = Math.min(margin, Math.abs(weight(token) / minP - 1));
    kept = kept.filter((token) => weight(token) >= minP);
  }
  const race = kept.map((token) => ({ token, score: weight(token) / exponential(params, token) }));
  race.sort((a, b) => b.score - a.score);
  const [first, second] = race;
  if (second !== undefined) margin = Math.min(margin, 1 - second.score / (first?.score ?? 0));
  return { token: first?.token ?? -1, kept: kept.sort((a, b) => a - b), margin };
}

/** The exponential variate of (seed, position, token). */
function exponential(
  { seedLow, seedHigh, position }: Pick<SampleParams, 'seedLow' | 'seedHigh' | 'position'>,
  token: number,
): number {
  const [, , , bits = 0] = pcg4d([seedLow, seedHigh, position, token]);
  return -Math.log1p(-((bits + 0.5) / 2 ** 32));
}

/** Jarzynski & Olano 2020, listing 9. */
function pcg4d(counter: readonly [number, number, number, number]): Uint32Array {
  const [x, y, z, w] = counter.map((n) => (Math.imul(n, 1664525) + 1013904223) | 0) as [
    number,
    number,
    number,
    number,
  ];
  const v = Int32Array.of(x, y, z, w);
  const mix = (into: number, a: number, b: number): void => {
    v[into] = (v[into] ?? 0) + Math.imul(v[a] ?? 0, v[b] ?? 0);
  };
  const round = (): void => {
    mix(0, 1, 3);
    mix(1, 2, 0);
    mix(2, 0, 1);
    mix(3, 1, 2);
  };
  round();
  for (const i of v.keys()) v[i] = (v[i] ?? 0) ^ ((v[i] ?? 0) >>> 16);
  round();
  return new Uint32Array(v.buffer);
}

/** Natural logarithms of the probabilities of `logits`. */
export function logSoftmax(logits: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(logits);
  const largest = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const sum = values.reduce((total, v) => total + Math.exp(v - largest), 0);
  return values.map((v) => v - largest - Math.log(sum));
}

function at(z: Float64Array, token: number): number {
  return z[token] ?? Number.NaN;
}
