/** What Node knows of a measurement. @module */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../gpu/stopwatch.ts';

/** Folder of the checkout or the installed package, with a slash at the end. */
export const REPOSITORY: string = fileURLToPath(new URL('../..', import.meta.url));

/** Where and how something was measured. */
export interface BenchFacts {
  readonly runtime: { readonly node: string; readonly webgpu: string | null };
  /** Abbreviated hash, with `+` if files were changed since; null outside of a checkout. */
  readonly commit: string | null;
  readonly command: string;
}

/** The clock of this process. */
export const NODE_CLOCK: Clock = {
  now: () => performance.now(),
  cpu() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
};

export function benchFacts(argv: readonly string[]): BenchFacts {
  return {
    runtime: { node: process.version, webgpu: dawnVersion() },
    commit: currentCommit(),
    command: ['quern', 'bench', ...argv].join(' '),
  };
}

function dawnVersion(): string | null {
  try {
    const manifest: unknown = createRequire(import.meta.url)('webgpu/package.json');
    const version = typeof manifest === 'object' && manifest && Reflect.get(manifest, 'version');
    return typeof version === 'string' ? version : null;
  } catch {
    return null;
  }
}

function currentCommit(): string | null {
  const git = (...args: readonly string[]): string | undefined => {
    const { status, stdout } = spawnSync('git', args, { cwd: REPOSITORY, encoding: 'utf8' });
    return status === 0 ? stdout.trim() : undefined;
  };
  const hash = git('rev-parse', '--short', 'HEAD');
  if (hash === undefined) return null;
  return git('status', '--porcelain') === '' ? hash : `${hash}+`;
}
