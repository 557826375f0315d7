import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inject, onTestFinished } from 'vitest';
import { run } from './tarball.ts';

/**
 * A folder with an application in which the packed package is installed, for one test.
 *
 * @param files - path → text
 * @param packages - further packages to install, with exact versions
 * @returns the folder
 */
export function createApp(
  files: Readonly<Record<string, string>>,
  packages: readonly string[] = [],
): string {
  const folder = mkdtempSync(join(tmpdir(), 'quern-app-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const all = { 'package.json': '{ "name": "app", "private": true, "type": "module" }', ...files };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const quiet = ['--no-audit', '--no-fund', '--no-package-lock', '--prefer-offline'];
  run('npm', ['install', ...quiet, inject('tarball'), ...packages], folder);
  return folder;
}

/** The module of every application: loads the bundled model as its address asks and shows the reply as JSON. */
export const APP_MODULE = `
import { Engine } from 'quern';

export async function reply(worker = JSON.parse(new URL(location.href).searchParams.get('worker'))) {
  const engine = await Engine.load('/models/0/', { worker });
  const stream = await engine.chat.completions.create({
    messages: [{ role: 'user', content: 'story about a princess' }],
    stream: true,
    temperature: 0,
    max_tokens: 8,
  });
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
  const { thread } = await engine.stats();
  await engine.dispose();
  return { text, thread };
}

export async function show(worker) {
  const shown = await reply(worker).catch((error) => ({ error: String(error.stack ?? error) }));
  document.body.append(Object.assign(document.createElement('output'), { value: JSON.stringify(shown) }));
}
`;

/** A page that runs {@link APP_MODULE}, from a script that calls `show`. */
export function appPage(script: string): string {
  return `<!doctype html><html lang="en"><title>App</title><body>${script}</body></html>`;
}
