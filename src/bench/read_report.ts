/** Reports that come from a file, a link or another version of Quern. @module */
import { RequestError } from '../util/errors.ts';
import { describeValue, isRecord } from '../util/objects.ts';
import { parseTest } from './bench_tests.ts';
import { BENCH_SCHEMA, type BenchReport } from './report.ts';

/** Version of the form of a set of reports. */
export const SET_SCHEMA = 'quern-benches/1';

/** Several reports in one file. */
export interface BenchReportSet {
  readonly schema: typeof SET_SCHEMA;
  readonly reports: readonly BenchReport[];
}

/** A set of reports, to be written as JSON; {@link readReports} reads it. */
export function reportSet(reports: readonly BenchReport[]): BenchReportSet {
  return { schema: SET_SCHEMA, reports };
}

/**
 * Reads the text of a report, or of a set.
 *
 * @throws {RequestError} if it is no JSON, and as {@link readReports}
 */
export function parseReports(text: string): readonly BenchReport[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RequestError(
      `report: not JSON (${reason}), expected what quern bench --json prints or the page exports`,
      { param: 'report', cause },
    );
  }
  return readReports(json);
}

/**
 * Checks that parsed JSON is a report or a set of them, as far as anything here relies on it. Fields it does not know are
 * kept.
 *
 * @throws {RequestError} telling the field, what was found there, and what was expected
 */
export function readReports(json: unknown): readonly BenchReport[] {
  if (isRecord(json) && json['schema'] === SET_SCHEMA) {
    const { reports } = json;
    if (Array.isArray(reports)) return reports.map((one, i) => readReport(one, `reports[${i}]`));
    throw refuse('reports', reports, 'an array of reports');
  }
  return [readReport(json, '')];
}

/** @param at - where it is */
function readReport(value: unknown, at: string): BenchReport {
  const schema: unknown = isRecord(value) ? value['schema'] : undefined;
  if (schema !== BENCH_SCHEMA) {
    const isLater = typeof schema === 'string' && /^quern-bench(es)?\/\d+$/.test(schema);
    const advice = isLater ? '; it was made by another version of Quern: open it there' : '';
    const what = `"${BENCH_SCHEMA}" of quern bench, or "${SET_SCHEMA}" of the page`;
    throw refuse(path(at, 'schema'), schema, what + advice);
  }
  const report = { doubts: [], ...(isRecord(value) && value) };
  REPORT(report, at);
  return report;
}

/** Throws unless a value is as it should be. */
type Check = (value: unknown, at: string) => void;

/** A check that leaves no doubt of the type. */
type Assertion<T> = (value: unknown, at: string) => asserts value is T;

const text: Check = (value, at) => {
  if (typeof value !== 'string') throw refuse(at, value, 'a text');
};
const flag: Check = (value, at) => {
  if (typeof value !== 'boolean') throw refuse(at, value, 'true or false');
};
const number: Check = (value, at) => {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw refuse(at, value, 'a number');
};
const date: Check = (value, at) => {
  text(value, at);
  if (Number.isNaN(Date.parse(String(value)))) throw refuse(at, value, 'a date in ISO 8601');
};

const test: Check = (value, at) => {
  text(value, at);
  try {
    parseTest(String(value));
  } catch {
    throw refuse(at, value, 'a name such as pp512, tg128@d4096 or enc128x8');
  }
};

function oneOf(...choices: readonly string[]): Check {
  return (value, at) => {
    if (choices.some((choice) => choice === value)) return;
    throw refuse(at, value, `one of: ${choices.join(', ')}`);
  };
}

/** An object with these fields at least; a name with `?` at its end may be missing. */
function object(fields: Readonly<Record<string, Check>>): Check {
  const checks = Object.entries(fields);
  return (value, at) => {
    if (!isRecord(value)) throw refuse(at, value, 'an object');
    for (const [key, check] of checks) {
      const name = key.replace('?', '');
      if (value[name] === undefined && name !== key) continue;
      check(value[name], path(at, name));
    }
  };
}

/** An object whose fields are all alike. */
function mapOf(check: Check): Check {
  return (value, at) => {
    if (!isRecord(value)) throw refuse(at, value, 'an object');
    for (const [name, item] of Object.entries(value)) check(item, path(at, name));
  };
}

function listOf(check: Check, least = 0): Check {
  return (value, at) => {
    if (!Array.isArray(value)) throw refuse(at, value, 'an array');
    if (value.length < least) throw refuse(at, value, `at least ${least} of them`);
    for (const [i, item] of value.entries()) check(item, `${at}[${i}]`);
  };
}

function nullOr(check: Check): Check {
  return (value, at) => {
    if (value !== null) check(value, at);
  };
}

const spread = object({
  median: number,
  min: number,
  max: number,
  sd: number,
  runs: listOf(number, 1),
});
const names = listOf(text);

const kernel = object({
  name: text,
  label: text,
  dispatches: number,
  ms: spread,
  share: number,
  bytes: number,
  flops: number,
  gigabytesPerSecond: number,
  gigaflopsPerSecond: number,
  'ofBandwidth?': number,
  'ofArithmetic?': number,
});

const result = object({
  test,
  kind: oneOf('prefill', 'decode', 'encode'),
  tokensPerSecond: spread,
  'textsPerSecond?': spread,
  'firstTokenMs?': spread,
  'limit?': object({
    by: oneOf('bandwidth', 'arithmetic'),
    tokensPerSecond: number,
    share: number,
  }),
  'stepBytes?': number,
  'gigabytesPerSecond?': number,
  'flops?': number,
  'gigaflopsPerSecond?': number,
  'work?': object({ tokens: number, bytes: number, flops: number }),
  'callsPerToken?': object({
    dispatches: number,
    passes: number,
    submits: number,
    readbacks: number,
    buffers: number,
    bindGroups: number,
    pipelines: number,
    shaderModules: number,
  }),
  'profile?': object({
    kernels: listOf(kernel),
    dispatches: number,
    kernelsMs: number,
    stepMs: spread,
  }),
});

const rates = { readGigabytesPerSecond: spread, f32GigaflopsPerSecond: spread };

const REPORT: Assertion<BenchReport> = object({
  date,
  model: object({
    name: text,
    kind: oneOf('decoder', 'encoder', 'seq2seq'),
    modelType: text,
    parameters: number,
    isMadeUp: flag,
    form: text,
    configuration: object({}),
  }),
  adapter: object({
    vendor: text,
    architecture: text,
    description: text,
    isSoftware: flag,
    hasF16: flag,
    hasSubgroups: flag,
  }),
  'device?': object({
    vendor: text,
    architecture: text,
    device: text,
    description: text,
    isSoftware: flag,
    features: names,
    languageFeatures: names,
    limits: mapOf(number),
    used: object({ features: names, limits: mapOf(number) }),
    'subgroups?': object({ min: number, max: number }),
    timerTickMs: number,
    runtime: text,
  }),
  settings: object({
    repetitions: number,
    tokenBudget: number,
    'kvDtype?': text,
    'contextLength?': number,
  }),
  'load?': object({ coldMs: number, 'warmMs?': number }),
  peaks: nullOr(
    object({
      ...rates,
      readBytes: number,
      'f16GigaflopsPerSecond?': spread,
      dispatchUs: spread,
      encodeUs: spread,
      roundTripUs: spread,
    }),
  ),
  'peaksAfter?': object(rates),
  results: listOf(result),
  doubts: listOf(object({ kind: text, 'test?': text, message: text })),
  selfTest: object({
    status: text,
    checked: names,
    // NaN, where there was nothing to compare, is null in JSON.
    dropped: listOf(object({ variant: text, error: nullOr(number), reason: text })),
    elapsedMs: number,
  }),
  tuning: object({
    status: text,
    chosen: mapOf(text),
    'measuredMs?': mapOf(mapOf(number)),
    elapsedMs: number,
  }),
  memory: object({
    weights: number,
    kv: number,
    scratch: number,
    state: number,
    readback: number,
    total: number,
    'peakBytes?': number,
    'pageBytes?': object({ peak: number, of: text }),
  }),
  notes: names,
  'commit?': nullOr(text),
  'command?': text,
});

function path(at: string, name: string): string {
  return at === '' ? name : `${at}.${name}`;
}

function refuse(at: string, found: unknown, expected: string): RequestError {
  const where = at === '' ? 'report' : `report: ${at}`;
  return new RequestError(`${where}: found ${describeValue(found)}, expected ${expected}`, {
    param: 'report',
  });
}
