/** What Node knows of a measurement. @module */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { PageMemory } from '../bench/report.ts';
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

/** @param program - how it was called, before its arguments */
export function benchFacts(argv: readonly string[], program: string = 'quern bench'): BenchFacts {
  return {
    runtime: { node: process.version, webgpu: dawnVersion() },
    commit: currentCommit(),
    command: [program, ...argv].join(' '),
  };
}

/** Node, and WebGPU in it. */
export function runtimeName({ runtime: { node, webgpu } }: BenchFacts): string {
  return `Node ${node}, Dawn (webgpu ${webgpu ?? 'of unknown version'})`;
}

/** JavaScript's heap and the buffers beside it; what the driver has is not told. */
export function nodeMemory(): PageMemory {
  const { heapUsed, external } = process.memoryUsage();
  return { bytes: heapUsed + external, of: 'heap' };
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
  // Measurements may be written while others are still to be measured.
  return git('status', '--porcelain', ':!docs/measurements') === '' ? hash : `${hash}+`;
}
