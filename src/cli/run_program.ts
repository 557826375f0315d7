import { UsageError } from './command.ts';
import { Interrupted, type Terminal, withProcessTerminal } from './terminal.ts';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/**
 * Runs a program, and says on standard error why it failed.
 *
 * @param argv - `--verbose` in it shows the stack of an error
 * @param terminal - where to write; undefined: this process's own, with Ctrl-C as its abort signal
 * @returns the exit code: that of `run`, 1 for a failure, 2 for a wrong command line, 130 after Ctrl-C, 141 after a closed
 *   pipe
 */
export async function runProgram(
  argv: readonly string[],
  terminal: Terminal | undefined,
  run: (terminal: Terminal) => Promise<number>,
): Promise<number> {
  if (terminal === undefined) return withProcessTerminal((own) => runProgram(argv, own, run));
  try {
    return await run(terminal);
  } catch (error) {
    return report(error, argv.includes('--verbose'), terminal);
  }
}

function report(error: unknown, isVerbose: boolean, terminal: Terminal): number {
  const { reason } = terminal.signal;
  if (reason instanceof Interrupted) {
    return reason.exitCode;
  }
  const message = error instanceof Error ? error.message : String(error);
  terminal.err(`error: ${message.replaceAll(/\s*\n\s*/g, ' ')}\n`);
  if (isVerbose && error instanceof Error) terminal.err(`${stackOf(error)}\n`);
  return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILURE;
}

/** The stack of an error, of its cause, and so on. */
function stackOf(error: Error): string {
  const stack = error.stack ?? error.message;
  return error.cause instanceof Error ? `${stack}\ncaused by ${stackOf(error.cause)}` : stack;
}
