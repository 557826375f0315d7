import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseReports, reportSet } from '../../src/bench/read_report.ts';
import type { BenchReport } from '../../src/bench/report.ts';
import { mapSpread, type Spread } from '../../src/bench/statistics.ts';
import { main } from '../../src/cli/bench_browser.ts';
import { findBrowser } from '../../src/cli/browser/find.ts';
import { main as quern } from '../../src/cli/main.ts';
import { Interrupted } from '../../src/cli/terminal.ts';
import { fakeTerminal } from '../unit/cli/fake_terminal.ts';

const TESTS = ['--tests', 'pp64,tg16', '--repetitions', '4'];
const PAGE = ['--adapter', 'swiftshader', '--model', 'tiny', '--weights', 'f32', ...TESTS];

/**
 * How far the ranges of page and command may be apart. The same adapter computes the same in both; but another test may
 * take half of the processor from either.
 */
const APART = 3;

const found = findBrowser('chromium');

describe('npm run bench:browser', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'quern-bench-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('measures in the page what quern bench does in Node, and tells what became slower', async (context) => {
    if (found.path === undefined) context.skip(found.reason);
    const node = fakeTerminal();
    const command = ['bench', '--shape', 'tiny', '--weights', 'f32', ...TESTS, '--json'];
    expect(await quern([...command, '--adapter', 'swiftshader'], node)).toBe(0);
    const [before] = parseReports(node.written.out);
    if (before === undefined) throw new Error('quern bench printed no report');
    const [against, out] = [join(folder, 'before.json'), join(folder, 'new', 'page.json')];
    await writeFile(against, JSON.stringify(reportSet([hundredTimesAsFast(before)])));

    const terminal = fakeTerminal();
    const exitCode = await main([...PAGE, '--out', out, '--against', against], terminal);
    expect(terminal.written.err).not.toContain('error');
    expect(exitCode).toBe(3);
    expect(terminal.written.out).toMatch(/tiny.* tg16 .*slower/);

    const json: unknown = JSON.parse(await readFile(out, 'utf8'));
    expect(json).toMatchObject({ schema: 'quern-benches/1' });
    const [report, ...more] = parseReports(JSON.stringify(json));
    expect(more).toEqual([]);
    expect(report).toMatchObject({
      adapter: { isSoftware: true },
      model: before.model,
      settings: before.settings,
    });
    expect(report?.command).toContain('npm run bench:browser -- --adapter swiftshader');
    expect(report?.device?.runtime).toContain('Chrome');
    expect(report?.results.map(({ test }) => test)).toEqual(['pp64', 'tg16']);
    for (const { test, tokensPerSecond, callsPerToken } of report?.results ?? []) {
      const same = before.results.find((result) => result.test === test);
      expect(callsPerToken).toEqual(same?.callsPerToken);
      expect(gapOf(tokensPerSecond, same?.tokensPerSecond)).toBeLessThan(APART);
    }
  });

  it('ends with the problem that the page names', async (context) => {
    if (found.path === undefined) context.skip(found.reason);
    const terminal = fakeTerminal();
    const nowhere = 'http://127.0.0.1:9/nothing';
    expect(await main(['--model', nowhere, '--tests', 'pp8'], terminal)).toBe(1);
    expect(terminal.written.out).toBe('');
    expect(terminal.written.err).toMatch(/^error: .*DownloadError: .*127\.0\.0\.1:9/m);
  });

  it('ends when it is interrupted', async (context) => {
    if (found.path === undefined) context.skip(found.reason);
    const controller = new AbortController();
    const terminal = fakeTerminal('', controller.signal);
    const begun = main(PAGE, {
      ...terminal,
      err(text) {
        terminal.err(text);
        // The first line of progress: the page is running.
        controller.abort(new Interrupted('interrupted', 130));
      },
    });
    expect(await begun).toBe(130);
    expect(terminal.written).toMatchObject({ out: '' });
    expect(terminal.written.err).not.toContain('error');
  });
});

/** How many times the slowest run of one is as fast as the fastest of the other; below 1 where the ranges overlap. */
function gapOf(a: Spread, b: Spread | undefined): number {
  return b === undefined ? Infinity : Math.max(a.min / b.max, b.min / a.max);
}

function hundredTimesAsFast(report: BenchReport): BenchReport {
  return {
    ...report,
    results: report.results.map((result) => ({
      ...result,
      tokensPerSecond: mapSpread(result.tokensPerSecond, (rate) => 100 * rate),
    })),
  };
}
