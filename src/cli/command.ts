/** Commands, their options and their help texts. @module */
import { parseArgs } from 'node:util';
import type { Terminal } from './terminal.ts';

/** One option of a command line. */
export interface Option {
  readonly type: 'string' | 'boolean';
  /** May be given several times. */
  readonly multiple?: boolean;
  /** What stands for the value in the help text, e.g. `N`. */
  readonly value?: string;
  readonly help: string;
}

/** An option with a value, given at most once. */
export interface TextOption extends Option {
  readonly type: 'string';
  readonly multiple?: false;
}

export type Options = Readonly<Record<string, Option>>;

/** Values of the options given, by name. */
export type Values<O extends Options> = {
  readonly [K in keyof O]?: O[K] extends { readonly type: 'boolean' }
    ? boolean
    : O[K] extends { readonly multiple: true }
      ? readonly string[]
      : string;
};

/** What a command is, and what it does. */
export interface CommandSpec<O extends Options> {
  readonly name: string;
  /** How it is called, where that is not as a command of `quern`. */
  readonly program?: string;
  /** Arguments for the usage line, e.g. `MODEL --prompt TEXT`. */
  readonly usage: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Further text for the command's own help. */
  readonly details?: string;
  readonly options: O;
  /** Command lines without the program's name. */
  readonly examples: readonly string[];
  /** How many arguments besides the options there may be. */
  readonly arguments: { readonly min: number; readonly max: number };
  /**
   * @param args - the arguments that are no options
   * @param argv - the whole command line after the command's name, for the record
   * @returns the exit code
   */
  run(
    values: Values<O>,
    args: readonly string[],
    terminal: Terminal,
    argv: readonly string[],
  ): Promise<number>;
}

/** A command, ready to run. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  /**
   * Parses and runs; `--help` prints the help text instead.
   *
   * @returns the exit code
   * @throws {UsageError} if the arguments are wrong
   */
  run(argv: readonly string[], terminal: Terminal): Promise<number>;
}

/** The command line is wrong; the message says how. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** How the program was called: by the checkout's script, or as the command of the installed package. */
export const PROGRAM: string =
  process.env['npm_lifecycle_event'] === 'quern' ? 'npm run quern --' : 'quern';

const COMMON = {
  verbose: { type: 'boolean', help: 'show the stack of an error' },
  help: { type: 'boolean', help: 'show this text' },
} as const satisfies Options;

/** Turns a description into a command; `--verbose` and `--help` are added to its options. */
export function defineCommand<const O extends Options>(spec: CommandSpec<O>): Command {
  const options = { ...spec.options, ...COMMON };
  return {
    name: spec.name,
    summary: spec.summary,
    async run(argv, terminal) {
      const { values, positionals } = parse(spec, argv, options);
      if (values['help'] === true) {
        terminal.out(helpText(spec, options));
        return 0;
      }
      const { min, max } = spec.arguments;
      if (positionals.length < min || positionals.length > max) {
        throw new UsageError(
          `${spec.name}: ${positionals.length} arguments, expected ${describeCount(min, max)}: ${spec.usage}`,
        );
      }
      // parseArgs checked names and types against the same table that Values is derived from.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      return spec.run(values as Values<O>, positionals, terminal, argv);
    },
  };
}

/**
 * A finite number given as text.
 *
 * @throws {UsageError} if it is none
 */
export function numberValue(option: string, text: string): number {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(number)) return number;
  throw new UsageError(`--${option}: ${JSON.stringify(text)}, expected a number`);
}

/**
 * An integer of at least `least` given as text.
 *
 * @throws {UsageError} if it is none
 */
export function countValue(option: string, text: string, least = 1): number {
  const count = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isSafeInteger(count) && count >= least) return count;
  throw new UsageError(`--${option}: ${JSON.stringify(text)}, expected an integer ≥ ${least}`);
}

/**
 * One of several words.
 *
 * @throws {UsageError} if it is another
 */
export function choiceValue<T extends string>(
  option: string,
  text: string,
  choices: readonly T[],
): T {
  const choice = choices.find((name) => name === text);
  if (choice !== undefined) return choice;
  throw new UsageError(
    `--${option}: ${JSON.stringify(text)}, expected one of: ${choices.join(', ')}`,
  );
}

/** The program and, of `quern`, the command. */
function callOf({ name, program }: Pick<CommandSpec<Options>, 'name' | 'program'>): string {
  return program ?? `${PROGRAM} ${name}`;
}

function parse(
  spec: Pick<CommandSpec<Options>, 'name' | 'program'>,
  argv: readonly string[],
  options: Options,
): { readonly values: Readonly<Record<string, unknown>>; readonly positionals: readonly string[] } {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`${spec.name}: ${reason}; see ${callOf(spec)} --help`, { cause });
  }
}

function helpText<O extends Options>(spec: CommandSpec<O>, options: Options): string {
  const names = Object.entries(options).map(([name, option]) => ({
    left: `--${name}${option.type === 'string' ? ` ${option.value ?? 'VALUE'}` : ''}`,
    right: option.multiple === true ? `${option.help} (repeatable)` : option.help,
  }));
  const width = Math.max(...names.map(({ left }) => left.length));
  return [
    `Usage: ${callOf(spec)} ${spec.usage}`,
    '',
    `${spec.summary[0]?.toUpperCase()}${spec.summary.slice(1)}.`,
    ...(spec.details === undefined ? [] : [spec.details]),
    '',
    'Options:',
    ...names.map(({ left, right }) => `  ${left.padEnd(width)}  ${right}`),
    '',
    'Examples:',
    ...spec.examples.map((example) => `  ${spec.program ?? PROGRAM} ${example}`.trimEnd()),
    '',
  ].join('\n');
}

function describeCount(min: number, max: number): string {
  if (min === max) return `${min}`;
  return Number.isFinite(max) ? `${min} to ${max}` : `at least ${min}`;
}
