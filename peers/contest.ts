/** Measuring two engines in turn, and what their ratios are. @module */
import { summarize } from '../src/cli/format.ts';
import type { Arena } from './arena.ts';
import type { Sample } from './clock.ts';

/** What one engine did in one round, by the names of {@link Contest.amounts}. */
export type Samples = Readonly<Record<string, Sample>>;

/** The same work for two engines. */
export interface Contest {
  /** What is measured, by name, and how much of it is done in the time of a sample. */
  readonly amounts: Readonly<Record<string, Amount>>;
  /** How far their outputs are apart: the largest difference over the largest number. */
  readonly error: number;
  /** What else is to be told. */
  notes?(): readonly string[];
  quern(round: number): Promise<Samples>;
  peer(round: number): Promise<Samples>;
  dispose(): Promise<void>;
}

export interface Amount {
  readonly count: number;
  readonly unit: 'GFLOP' | 'tokens';
}

/** A contest that has yet to be set up. */
export interface Entry {
  /** What its ratios are averaged with. */
  readonly group: string;
  readonly name: string;
  /** The other engine. */
  readonly peer: string;
  /** How far the outputs may be apart; by default what different orders of f32 sums explain. */
  readonly tolerance?: number;
  readonly open: (arena: Arena) => Promise<Contest>;
}

/** Thrown by `open` of an {@link Entry} whose peer cannot run here: the others still can. */
export class CannotRun extends Error {}

/** Both compute in f32, in different orders. */
const TOLERANCE = 1e-3;

type Spread = ReturnType<typeof summarize>;

/** What came of one measurement. */
export interface Outcome {
  readonly group: string;
  readonly name: string;
  readonly peer: string;
  /** Part of the work, where it has several. */
  readonly what: string;
  readonly unit: string;
  /** Amounts per second of wall time. */
  readonly quernPerSecond: Spread;
  readonly peerPerSecond: Spread;
  /** The peer's time over Quern's in the same round: above 1, Quern is faster. */
  readonly wallRatio: Spread;
  /** Where the CPU time is known. */
  readonly cpuRatio?: Spread;
  readonly error: number;
  readonly notes: readonly string[];
}

/** What could not be measured. */
export interface Skipped {
  readonly name: string;
  readonly peer: string;
  readonly reason: string;
}

/**
 * Measures both engines in turn, A B A B, after a round that warms up.
 *
 * @throws {CannotRun} if the peer cannot run here
 * @throws if the engines' outputs are further apart than the entry's tolerance
 */
export async function hold(
  { group, name, peer: peerName, tolerance = TOLERANCE, open }: Entry,
  arena: Arena,
  repetitions: number,
): Promise<readonly Outcome[]> {
  const contest = await open(arena);
  try {
    if (!(contest.error <= tolerance)) {
      throw new Error(
        `${name}: the outputs differ by ${contest.error.toExponential(1)}, expected at most ${tolerance}; the engines do not run the same model`,
      );
    }
    const rounds: { readonly quern: Samples; readonly peer: Samples }[] = [];
    for (let round = 0; round <= repetitions; round += 1) {
      const quern = await contest.quern(round);
      const peer = await contest.peer(round);
      if (round > 0) rounds.push({ quern, peer });
    }
    const notes = contest.notes?.() ?? [];
    return Object.entries(contest.amounts).map(([what, { count, unit }]) => {
      const pairs = rounds.flatMap(({ quern, peer }) => {
        const [mine, theirs] = [quern[what], peer[what]];
        return mine === undefined || theirs === undefined ? [] : [{ mine, theirs }];
      });
      const cpuRatios = pairs.map(({ mine, theirs }) => theirs.cpuMs / mine.cpuMs);
      const rate = ({ wallMs }: Sample): number => (count * 1000) / wallMs;
      return {
        group: [group, what].filter((word) => word !== '').join(' '),
        name,
        peer: peerName,
        what,
        unit: `${unit}/s`,
        quernPerSecond: summarize(pairs.map(({ mine }) => rate(mine))),
        peerPerSecond: summarize(pairs.map(({ theirs }) => rate(theirs))),
        wallRatio: summarize(pairs.map(({ mine, theirs }) => theirs.wallMs / mine.wallMs)),
        ...(cpuRatios.every(Number.isFinite) && { cpuRatio: summarize(cpuRatios) }),
        error: contest.error,
        notes,
      };
    });
  } finally {
    await contest.dispose();
  }
}

/** Largest |actual − expected| over the largest |expected|; NaN if either is no number. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.NaN;
  let error = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i += 1) {
    const a = actual[i] ?? Number.NaN;
    const b = expected[i] ?? Number.NaN;
    error = Math.max(error, Math.abs(a - b)); // NaN stays NaN
    largest = Math.max(largest, Math.abs(b));
  }
  return error / largest;
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
