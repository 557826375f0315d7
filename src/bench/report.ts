/** What a measurement comes to, as plain data: the schema of `quern bench --json` and of the page's files. @module */
import type { EngineStats } from '../engine/api.ts';
import type { ModelKind } from '../models/family.ts';
import type { BenchTest } from './bench_tests.ts';
import type { Calls } from './count_calls.ts';
import type { DeviceReport } from './device_report.ts';
import type { Doubt } from './doubts.ts';
import type { SubjectFiles } from './open_model.ts';
import type { Peaks } from './peaks.ts';
import type { ProfileReport } from './profile.ts';
import type { Spread } from './statistics.ts';

/** Version of the form of {@link BenchReport}; another major number where what there was means something else. */
export const BENCH_SCHEMA = 'quern-bench/1';

/** What was measured of one model on one device. Fields that may be absent were added later, or could not be told. */
export interface BenchReport {
  readonly schema: typeof BENCH_SCHEMA;
  /** ISO 8601. */
  readonly date: string;
  readonly model: SubjectFiles & { readonly kind: ModelKind };
  readonly adapter: EngineStats['adapter'];
  readonly device?: DeviceReport;
  readonly settings: {
    readonly repetitions: number;
    /** Tokens computed in one step at most. */
    readonly tokenBudget: number;
    readonly kvDtype?: string;
    readonly contextLength?: number;
  };
  readonly load?: LoadTimes;
  /** The ceilings of the device; null if they were not to be measured. */
  readonly peaks: Peaks | null;
  /** Some of them once more, after all tests. */
  readonly peaksAfter?: Pick<Peaks, 'readGigabytesPerSecond' | 'f32GigaflopsPerSecond'>;
  readonly results: readonly TestResult[];
  /** What cannot be trusted, and why. */
  readonly doubts: readonly Doubt[];
  /** Which kernels the model does without, and which were found to be the fastest. */
  readonly selfTest: EngineStats['selfTest'];
  readonly tuning: EngineStats['tuning'];
  readonly memory: MemoryUse;
  /** What was done other than asked. */
  readonly notes: readonly string[];
  /** Of Quern, and how to measure the same again, where known. */
  readonly commit?: string | null;
  readonly command?: string;
}

/** Time from the call until a model can be asked, in milliseconds. */
export interface LoadTimes {
  /**
   * The first load of this run: files read or weights made up, kernels checked and measured where this adapter's were not
   * known yet, shaders compiled. What the browser or the driver keeps of files and shaders from before is not cleared.
   */
  readonly coldMs: number;
  /** A second load of the same in the same page or process, after the first was freed. */
  readonly warmMs?: number;
}

/** Bytes that a model and its tests take. */
export interface MemoryUse {
  /** GPU buffers after the tests, by what they are for. */
  readonly weights: number;
  readonly kv: number;
  readonly scratch: number;
  readonly state: number;
  readonly readback: number;
  readonly total: number;
  /** Most GPU bytes at once while loading and testing; what the ceilings are measured with left out. */
  readonly peakBytes?: number;
  /** Outside of the GPU, the larger of what it was after loading and after the tests. */
  readonly pageBytes?: { readonly peak: number; readonly of: PageMemory['of'] };
}

/** Memory outside of the GPU, as far as the platform tells. */
export interface PageMemory {
  readonly bytes: number;
  /** JavaScript's heap, the whole process, or all of a page with its workers. */
  readonly of: 'heap' | 'process' | 'page';
}

/** What came of one test. */
export interface TestResult {
  /** Its name, of what was measured in the end. */
  readonly test: string;
  readonly kind: BenchTest['kind'];
  readonly tokensPerSecond: Spread;
  /** Of encoders, and of encoder-decoders' inputs. */
  readonly textsPerSecond?: Spread;
  readonly firstTokenMs?: Spread;
  /** What the device could do at most, and how much of that was reached; absent without {@link Peaks}. */
  readonly limit?: {
    readonly by: 'bandwidth' | 'arithmetic';
    readonly tokensPerSecond: number;
    /** Median over limit. */
    readonly share: number;
  };
  /** Bytes of weights, keys and values that a decode step must read, and what that came to per second. */
  readonly stepBytes?: number;
  readonly gigabytesPerSecond?: number;
  /** Operations of a whole prompt or text, and what that came to per second. */
  readonly flops?: number;
  readonly gigaflopsPerSecond?: number;
  /** What so many tokens at once need at the least: those of a decode step, or of a whole prompt or text. */
  readonly work?: { readonly tokens: number; readonly bytes: number; readonly flops: number };
  /** GPU calls for one more token of a single reply. */
  readonly callsPerToken?: Calls;
  readonly profile?: ProfileReport;
}
