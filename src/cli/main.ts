/** The `quern` command. @module */
import { benchCommand } from './bench.ts';
import { type Command, PROGRAM, UsageError } from './command.ts';
import { encodeCommand } from './encode.ts';
import { generateCommand } from './generate.ts';
import { parityCommand } from './parity.ts';
import { planCommand } from './plan.ts';
import { runProgram } from './run_program.ts';
import { serveCommand } from './serve.ts';
import type { Terminal } from './terminal.ts';

const COMMANDS: readonly Command[] = [
  generateCommand,
  encodeCommand,
  serveCommand,
  parityCommand,
  benchCommand,
  planCommand,
];

/**
 * Runs the command line.
 *
 * @param argv - arguments without the program's name
 * @param terminal - where to write; default: this process's own, with Ctrl-C as its abort signal
 * @returns the exit code: 0, 1 for a failure, 2 for a wrong command line, 130 after Ctrl-C, 141 after a closed pipe
 */
export async function main(argv: readonly string[], terminal?: Terminal): Promise<number> {
  return runProgram(argv, terminal, async (own) => {
    const [name = '', ...rest] = argv;
    if (['--help', '-h', 'help'].includes(name)) {
      own.out(overview());
      return 0;
    }
    const command = COMMANDS.find((known) => known.name === name);
    if (command === undefined) {
      const found = name === '' ? 'no command' : `unknown command ${JSON.stringify(name)}`;
      const known = COMMANDS.map((known) => known.name).join(', ');
      throw new UsageError(`${found}, expected one of: ${known}; see ${PROGRAM} --help`);
    }
    return command.run(rest, own);
  });
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
