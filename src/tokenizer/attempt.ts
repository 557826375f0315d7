import { TokenizerError } from '../util/errors.ts';

/**
 * Runs library code, which reports what it cannot do by errors of every class, built-in ones included.
 *
 * @throws {TokenizerError} in place of whatever `run` throws, with that as its cause
 */
export function attempt<T>(where: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TokenizerError(`${where}: ${reason}`, { cause });
  }
}
