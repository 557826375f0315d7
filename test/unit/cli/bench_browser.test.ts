import { describe, expect, it } from 'vitest';
import { main } from '../../../src/cli/bench_browser.ts';
import { fakeTerminal } from './fake_terminal.ts';

describe('npm run bench:browser', () => {
  it('tells how it is called', async () => {
    const terminal = fakeTerminal();
    expect(await main(['--help'], terminal)).toBe(0);
    expect(terminal.written.out).toMatch(/^Usage: npm run bench:browser -- \[options\]\n/);
    expect(terminal.written.out).toContain('\n  npm run bench:browser -- --model tiny');
  });

  // Before a browser is started.
  it.each([
    [['tiny'], 'bench:browser: 1 arguments, expected 0'],
    [['--shape', 'tiny'], "Unknown option '--shape'"],
    [['--browser', 'lynx'], '--browser: "lynx", expected one of: chromium, firefox'],
    [['--adapter', 'cpu'], '--adapter: "cpu", expected one of: default, swiftshader'],
    [['--browser', 'firefox', '--adapter', 'swiftshader'], '--adapter is for chromium'],
    [['--tests', 'pp0'], 'test is "pp0", expected a name such as'],
    [['--repetitions', '0'], 'repetitions'],
    [['--weights', 'q3'], '"q3"'],
    [['--tolerance', '10'], '--tolerance: 10, expected a share from 0 to below 1'],
    [['--site', 'docs'], '--site docs: no bench.html in it; build it first'],
    [['--against', 'no/such.json'], '--against no/such.json: ENOENT'],
    [['--against', 'README.md'], '--against README.md: report: not JSON'],
    [['--against', 'package.json'], '--against package.json: report: schema: found'],
  ])('refuses %j', async (argv, message) => {
    const terminal = fakeTerminal();
    expect(await main(argv, terminal)).toBe(2);
    expect(terminal.written.out).toBe('');
    expect(terminal.written.err).toMatch(/^error: [^\n]*\n$/);
    expect(terminal.written.err).toContain(message);
  });
});
