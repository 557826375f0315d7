import { describe, expect, it } from 'vitest';
import { BROWSERS, findBrowser } from '../../src/cli/browser/find.ts';
import { main } from '../../src/cli/main.ts';
import type { ParityReport } from '../../src/engine/inspect.ts';
import { fakeTerminal } from '../unit/cli/fake_terminal.ts';

describe.each(BROWSERS)('quern parity --browser %s', (name) => {
  it('agrees with the reference, and reports a folder that is not there', async (context) => {
    const found = findBrowser(name);
    if (found.path === undefined) context.skip(found.reason);
    const dirs = ['test/fixtures/conformance/llama', 'no such folder'];
    const terminal = fakeTerminal();
    const exitCode = await main(['parity', ...dirs, '--browser', name, '--json'], terminal);
    expect(exitCode).toBe(1);
    const lines = terminal.written.out.trimEnd().split('\n');
    const [llama, absent] = lines.map((line): ParityReport => JSON.parse(line));
    expect(llama).toMatchObject({ dir: dirs[0], ok: true, greedy: { equal: true } });
    expect(llama?.adapter).toContain(name);
    expect(absent).toMatchObject({ dir: dirs[1], ok: false, tensors: {}, greedy: null });
    expect(absent?.error).toContain('there is nothing at this path');
  });
});
