/** The `quern` command. @module */
import { benchCommand } from './bench.ts';
import { type Command, PROGRAM, UsageError } from './command.ts';
import { encodeCommand } from './encode.ts';
import { generateCommand } from './generate.ts';
import { parityCommand } from './parity.ts';
import { planCommand } from './plan.ts';
import { serveCommand } from './serve.ts';
import { Interrupted, type Terminal, withProcessTerminal } from './terminal.ts';

const COMMANDS: readonly Command[] = [
  generateCommand,
  encodeCommand,
  serveCommand,
  parityCommand,
  benchCommand,
  planCommand,
];

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

/**
 * Runs the command line.
 *
 * @param argv - arguments without the program's name
 * @param terminal - where to write; default: this process's own, with Ctrl-C as its abort signal
 * @returns the exit code: 0, 1 for a failure, 2 for a wrong command line, 130 after Ctrl-C, 141 after a closed pipe
 */
export async function main(argv: readonly string[], terminal?: Terminal): Promise<number> {
  return terminal === undefined
    ? withProcessTerminal((own) => runCommand(argv, own))
    : runCommand(argv, terminal);
}

async function runCommand(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const [name = '', ...rest] = argv;
    if (['--help', '-h', 'help'].includes(name)) {
      terminal.out(overview());
      return 0;
    }
    const command = COMMANDS.find((known) => known.name === name);
    if (command === undefined) {
      const found = name === '' ? 'no command' : `unknown command ${JSON.stringify(name)}`;
      const known = COMMANDS.map((known) => known.name).join(', ');
      throw new UsageError(`${found}, expected one of: ${known}; see ${PROGRAM} --help`);
    }
    return await command.run(rest, terminal);
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

function overview(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  return [
    `Usage: ${PROGRAM} COMMAND [arguments]`,
    '',
    'Runs transformer models on WebGPU in Node, through Dawn (npm package "webgpu").',
    '',
    'Commands:',
    ...COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    `${PROGRAM} COMMAND --help tells more.`,
    '',
  ].join('\n');
}
