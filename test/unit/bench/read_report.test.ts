import { describe, expect, it } from 'vitest';
import { parseReports, readReports, reportSet } from '../../../src/bench/read_report.ts';
import { RequestError } from '../../../src/util/errors.ts';
import { benchReport } from '../demo/support/bench_reports.ts';

/** A report as another program may have written it. */
function plain(): Record<string, unknown> {
  return JSON.parse(JSON.stringify(benchReport()));
}

describe('readReports', () => {
  it('reads what was written, one or several', () => {
    const reports = [benchReport(), benchReport({ name: 'tiny', hasPeaks: false })];
    expect(parseReports(JSON.stringify(reports[0]))).toEqual([reports[0]]);
    expect(parseReports(JSON.stringify(reportSet(reports)))).toEqual(reports);
    expect(readReports(reportSet([]))).toEqual([]);
  });

  it('keeps fields that it does not know', () => {
    const { results } = benchReport();
    const report = { ...benchReport(), later: { a: 1 }, results: [{ ...results[0], power: 12 }] };
    expect(readReports(report)).toEqual([report]);
  });

  it('reads reports from before there were loads, doubts and device', () => {
    const { load: _load, doubts: _doubts, ...old } = plain();
    expect(readReports(old)).toEqual([{ ...old, doubts: [] }]);
  });

  it.each([
    [null, 'report: schema: found nothing, expected "quern-bench/1" of quern bench'],
    [[], 'report: schema: found nothing'],
    [{ schema: 'quern-kernels/1' }, 'report: schema: found "quern-kernels/1", expected'],
    [{ schema: 'quern-bench/2' }, 'it was made by another version of Quern'],
    [{ schema: 'quern-benches/7', reports: [] }, 'it was made by another version of Quern'],
    [{ schema: 'quern-benches/1' }, 'report: reports: found nothing, expected an array'],
    [{ schema: 'quern-benches/1', reports: [3] }, 'report: reports[0].schema: found nothing'],
    [{ ...plain(), date: 'yesterday' }, 'date: found "yesterday", expected a date in ISO 8601'],
    [{ ...plain(), peaks: undefined }, 'report: peaks: found nothing, expected an object'],
    [{ ...plain(), results: [{ test: 'pp1' }] }, 'results[0].kind: found nothing, expected one of'],
    [{ ...plain(), memory: { total: 1 } }, 'report: memory.weights: found nothing'],
    [{ ...plain(), device: {} }, 'report: device.vendor: found nothing, expected a text'],
    [{ ...plain(), notes: [null] }, 'report: notes[0]: found null, expected a text'],
  ])('refuses %#', (json, message) => {
    expect(() => readReports(json)).toThrow(RequestError);
    expect(() => readReports(json)).toThrow(message);
  });

  it('refuses any field of another type, by name', () => {
    const rates = { median: 1, min: 1, max: 1, sd: 0, runs: ['1'] };
    const report = plain();
    const [result] = benchReport().results;
    const changed = { ...report, results: [{ ...result, tokensPerSecond: rates }] };
    const renamed = { ...report, results: [{ ...result, test: 'fast' }] };
    expect(() => readReports(renamed)).toThrow('results[0].test: found "fast", expected a name');
    const path = 'results[0].tokensPerSecond.runs[0]: found "1", expected a number';
    expect(() => readReports(changed)).toThrow(path);
    for (const key of Object.keys(report)) {
      const broken = { ...report, [key]: 7 };
      expect(() => readReports(broken), key).toThrow(RequestError);
    }
  });

  it('names what is no JSON', () => {
    expect(() => parseReports('{"schema":')).toThrow(RequestError);
    expect(() => parseReports('{"schema":')).toThrow(/^report: not JSON \(/);
  });
});
