import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const SOURCES = new URL('../../../src/', import.meta.url);

/** Files that a module needs to run: `import()` and types are not among them. */
function needs(file: URL, found: Set<string> = new Set()): ReadonlySet<string> {
  if (found.has(file.href)) return found;
  found.add(file.href);
  const code = readFileSync(file, 'utf8');
  for (const [, path] of code.matchAll(/^(?:import|export) (?!type )[^;]*?from '(\.[^']+)';$/gms)) {
    if (path !== undefined) needs(new URL(path, file), found);
  }
  return found;
}

it('a page whose engine is in a worker fetches no engine code', () => {
  const pathsFor = (path: string): readonly string[] =>
    [...needs(new URL(path, SOURCES))].map((href) => href.slice(SOURCES.href.length));
  const client = pathsFor('worker/client.ts');
  expect(client).toContain('worker/rpc.ts');
  const engine = client.filter((path) => /^(engine|gpu|kernels|nn|models|tokenizer)\//.test(path));
  expect(engine).toEqual(['engine/stream.ts']);
  // The pattern above does find what there is.
  expect(pathsFor('worker/worker.ts').length).toBeGreaterThan(50);
  expect(pathsFor('load.ts')).toEqual(['load.ts', 'util/errors.ts', 'util/objects.ts']);
});
