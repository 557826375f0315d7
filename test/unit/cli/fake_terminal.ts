import type { Terminal } from '../../../src/cli/terminal.ts';

/** A terminal that keeps what is written to it. */
export interface FakeTerminal extends Terminal {
  readonly written: { out: string; err: string };
}

export function fakeTerminal(
  input: string = '',
  signal: AbortSignal = new AbortController().signal,
): FakeTerminal {
  const written = { out: '', err: '' };
  return {
    written,
    out: (text) => void (written.out += text),
    err: (text) => void (written.err += text),
    isErrScreen: false,
    readInput: async () => input,
    signal,
  };
}
