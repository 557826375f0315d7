import { describe, expect, it } from 'vitest';
import { BROWSERS, findBrowser } from '../../src/cli/browser/find.ts';
import { main } from '../../src/cli/main.ts';
import type { ParityReport } from '../../src/engine/inspect.ts';
import { fakeTerminal } from '../unit/cli/fake_terminal.ts';

/** One of each network; the others differ from these in parts that all browsers share. */
const MODELS = ['llama', 'modernbert', 'deberta-v2', 'switch-transformers', 'm2m-100'];

describe.each(BROWSERS)('quern parity --browser %s', (name) => {
  it('agrees with the reference, and reports a folder that is not there', async (context) => {
    const found = findBrowser(name);
    if (found.path === undefined) context.skip(found.reason);
    const dirs = [...MODELS.map((model) => `test/fixtures/conformance/${model}`), 'no such folder'];
    const terminal = fakeTerminal();
    const exitCode = await main(['parity', ...dirs, '--browser', name, '--json'], terminal);
    expect(exitCode).toBe(1);
    const lines = terminal.written.out.trimEnd().split('\n');
    const reports = lines.map((line): ParityReport => JSON.parse(line));
    const absent = reports.pop();
    expect(reports.map(({ dir, ok, error }) => ({ dir, ok, error }))).toEqual(
      dirs.slice(0, -1).map((dir) => ({ dir, ok: true })),
    );
    for (const { adapter } of reports) expect(adapter).toContain(name);
    const ids = reports.map(({ greedy }) => greedy?.equal);
    expect(ids).toEqual([true, undefined, undefined, true, true]);
    expect(absent).toMatchObject({ dir: dirs.at(-1), ok: false, tensors: {}, greedy: null });
    expect(absent?.error).toContain('there is nothing at this path');
  });
});
