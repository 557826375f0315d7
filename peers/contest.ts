/** Measuring two engines in turn, and what their ratios are. @module */
import { summarize } from '../src/cli/format.ts';

/** Time that something took. */
export interface Sample {
  readonly wallMs: number;
  /** User and system time of all threads of the process. */
  readonly cpuMs: number;
}

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
  readonly open: () => Promise<Contest>;
}

type Spread = ReturnType<typeof summarize>;

/** What came of one measurement. */
export interface Outcome {
  readonly group: string;
  readonly name: string;
  /** Part of the work, where it has several. */
  readonly what: string;
  readonly unit: string;
  /** Amounts per second of wall time. */
  readonly quernPerSecond: Spread;
  readonly peerPerSecond: Spread;
  /** The peer's time over Quern's in the same round: above 1, Quern is faster. */
  readonly wallRatio: Spread;
  readonly cpuRatio: Spread;
  readonly error: number;
  readonly notes: readonly string[];
}

/** The time that `run` takes. */
export async function timed(run: () => Promise<unknown>): Promise<Sample> {
  const watch = startWatch();
  await run();
  return watch();
}

/** @returns the time since now */
export function startWatch(): () => Sample {
  const begin = performance.now();
  const cpu = process.cpuUsage();
  return () => {
    const wallMs = performance.now() - begin;
    const { user, system } = process.cpuUsage(cpu);
    return { wallMs, cpuMs: (user + system) / 1000 };
  };
}

/**
 * Measures both engines in turn, A B A B, after a round that warms up.
 *
 * @throws if the engines' outputs are further apart than `tolerance`
 */
export async function hold(
  { group, name, open }: Entry,
  repetitions: number,
  tolerance: number,
): Promise<readonly Outcome[]> {
  const contest = await open();
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
      const rate = ({ wallMs }: Sample): number => (count * 1000) / wallMs;
      return {
        group: [group, what].filter((word) => word !== '').join(' '),
        name,
        what,
        unit: `${unit}/s`,
        quernPerSecond: summarize(pairs.map(({ mine }) => rate(mine))),
        peerPerSecond: summarize(pairs.map(({ theirs }) => rate(theirs))),
        wallRatio: summarize(pairs.map(({ mine, theirs }) => theirs.wallMs / mine.wallMs)),
        cpuRatio: summarize(pairs.map(({ mine, theirs }) => theirs.cpuMs / mine.cpuMs)),
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
