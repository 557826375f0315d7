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

const pathsFor = (path: string): readonly string[] =>
  [...needs(new URL(path, SOURCES))].map((href) => href.slice(SOURCES.href.length));

it.each(['engine', 'encoder', 'seq2seq'])(
  'a page whose %s is in a worker fetches no code of it',
  (kind) => {
    const client = pathsFor(`worker/remote_${kind}.ts`);
    expect(client).toContain('worker/rpc.ts');
    const engine = client.filter((path) =>
      /^(engine|gpu|kernels|nn|models|tokenizer)\//.test(path),
    );
    expect(engine).toEqual(['engine/stream.ts']);
  },
);

it('a page fetches next to nothing before it loads a model', () => {
  expect(pathsFor('load.ts')).toEqual(['load.ts', 'util/errors.ts', 'util/objects.ts']);
  // The pattern above does find what there is.
  expect(pathsFor('worker/worker.ts').length).toBeGreaterThan(50);
});

it('a worker is one file, which Vite before 8 can build: there is no import() in it', () => {
  for (const path of pathsFor('worker/worker.ts').filter((one) => one.endsWith('.ts'))) {
    expect(readFileSync(new URL(path, SOURCES), 'utf8'), path).not.toMatch(/\bimport\((?!\))/);
  }
});
