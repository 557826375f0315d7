/** Builds and packs the package once for all tests of the project. @module */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Path of the packed package. */
    readonly tarball: string;
  }
}

const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url));
let folder: string | undefined;

export function setup(project: TestProject): void {
  folder = mkdtempSync(join(tmpdir(), 'quern-tarball-'));
  run(process.execPath, ['scripts/build.js'], REPOSITORY);
  // Built above, and said so in fewer words than npm's.
  run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], REPOSITORY);
  const [name = ''] = readdirSync(folder);
  project.provide('tarball', join(folder, name));
}

export function teardown(): void {
  if (folder !== undefined) rmSync(folder, { recursive: true });
}

/** Runs a program to its end and returns what it printed. @throws with all of its output if it fails */
export function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: 240_000,
    // As in a shell of its own: Vitest sets NODE_ENV, and npm hands its own settings down.
    env: Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_ENV$|VITEST)/.test(name)),
    ),
  });
  if (status === 0) return stdout;
  throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? ''}\n${stdout}\n${stderr}`);
}
