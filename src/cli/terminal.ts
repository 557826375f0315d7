/** What a command sees of the terminal it runs in. */
export interface Terminal {
  /** Writes a result, to standard output. */
  out(text: string): void;
  /** Writes a remark, to standard error. */
  err(text: string): void;
  /** Whether remarks go to a screen, where progress may be redrawn in place. */
  readonly isErrScreen: boolean;
  /** All of standard input. */
  readInput(): Promise<string>;
  /** Aborted when the user presses Ctrl-C, a service manager ends the process, or nobody reads the output any more. */
  readonly signal: AbortSignal;
}

/** A text that an option gives; `-` stands for standard input. */
export async function readText(
  text: string,
  { readInput }: Pick<Terminal, 'readInput'>,
): Promise<string> {
  // The line break that ends a file is no part of its text.
  return text === '-' ? (await readInput()).replace(/\r?\n$/, '') : text;
}

/** Why a terminal's signal is aborted. */
export class Interrupted extends Error {
  override readonly name = 'AbortError';
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** 128 + the signal's number, as shells report it. */
const EXIT_SIGINT = 130;
const EXIT_SIGPIPE = 141;
const EXIT_SIGTERM = 143;

/**
 * Runs `use` with the terminal of this process. The first Ctrl-C (or SIGTERM) aborts its signal, the second kills the process;
 * a closed output pipe (`quern … | head`) aborts as well.
 */
export async function withProcessTerminal<T>(use: (terminal: Terminal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const { signal } = controller;
  const onInterrupt = (): void => controller.abort(new Interrupted('interrupted', EXIT_SIGINT));
  const onTerminate = (): void => controller.abort(new Interrupted('terminated', EXIT_SIGTERM));
  const onPipe = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') throw error;
    controller.abort(new Interrupted('the output was closed', EXIT_SIGPIPE));
  };
  process.once('SIGINT', onInterrupt);
  process.once('SIGTERM', onTerminate);
  process.stdout.on('error', onPipe);
  process.stderr.on('error', onPipe);
  try {
    return await use({
      out: (text) => void process.stdout.write(text),
      err: (text) => void process.stderr.write(text),
      isErrScreen: process.stderr.isTTY,
      readInput,
      signal,
    });
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onTerminate);
  }
}

async function readInput(): Promise<string> {
  process.stdin.setEncoding('utf8');
  let text = '';
  for await (const part of process.stdin) text += String(part);
  return text;
}
