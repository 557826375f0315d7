import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { build, type Rolldown } from 'vite';
import manifest from '../../package.json' with { type: 'json' };
import { createApp } from './support/app.ts';

type Chunk = Rolldown.OutputChunk;

const KB = 1000;
/** With brotli, as most servers send it, 16 kB less. */
const MOST_BYTES = 150 * KB;

it(`the whole library has less than ${MOST_BYTES / KB} kB gzip`, () => {
  const dist = join(createApp({}), 'node_modules/quern/dist');
  // What only the command loads is no part of it.
  const files = new Set(
    Object.values(manifest.exports).flatMap((entry) =>
      typeof entry === 'string' ? [] : basename(entry.default),
    ),
  );
  for (const file of files) {
    const code = readFileSync(join(dist, file), 'utf8');
    for (const [, next = ''] of code.matchAll(/["'`]\.\/([\w-]+\.js)["'`]/g)) files.add(next);
  }
  const sizes = new Map(
    [...files].map((file) => [file, gzipBytes(readFileSync(join(dist, file)))]),
  );
  for (const [file, bytes] of sizes) print(file, bytes);
  const total = sum([...sizes.values()]);
  print(`whole library, ${files.size} files`, total);
  // What all of it is made of.
  expect([...files]).toEqual(expect.arrayContaining(['core.js', 'engine.js', 'shaders.js']));
  expect(total).toBeLessThan(MOST_BYTES);
});

it('a page that imports Engine loads little before it loads a model', async () => {
  const chunks = await bundle("import { Engine } from 'quern';\nglobalThis.Engine = Engine;\n");
  const first = reach(
    chunks,
    chunks.filter(({ isEntry }) => isEntry),
    ({ imports }) => imports,
  );
  const all = reach(chunks, first, ({ dynamicImports, imports }) => [
    ...dynamicImports,
    ...imports,
  ]);
  const [before, later] = [first, all.filter((chunk) => !first.includes(chunk))].map((loaded) =>
    sum(loaded.map(({ code }) => gzipBytes(code))),
  );
  print('import { Engine }: before Engine.load', before);
  print('import { Engine }: what Engine.load loads', later);
  expect(before).toBeLessThan(10 * KB);
  expect(later).toBeLessThan(MOST_BYTES);
});

it('a page whose engine runs in a worker loads no engine', () => {
  const dist = join(createApp({}), 'node_modules/quern/dist');
  const files = new Set(['port.js']);
  for (const file of files) {
    const code = readFileSync(join(dist, file), 'utf8');
    for (const [, next = ''] of code.matchAll(/from"\.\/([\w-]+\.js)"/g)) files.add(next);
  }
  expect([...files]).toContain('base.js');
  const total = sum([...files].map((file) => gzipBytes(readFileSync(join(dist, file)))));
  print('import { Engine } and a worker: the page', total);
  expect(total).toBeLessThan(12 * KB);
});

it('errors alone leave the engine out', async () => {
  const chunks = await bundle(
    "import { NoWebGpuError } from 'quern';\nglobalThis.NoWebGpuError = NoWebGpuError;\n",
  );
  expect(sum(chunks.map(({ code }) => gzipBytes(code)))).toBeLessThan(2 * KB);
});

/** What Vite makes of an application of one module, worker scripts apart. */
async function bundle(code: string): Promise<readonly Chunk[]> {
  const root = createApp({ 'main.js': code });
  const built = await build({
    root,
    configFile: false,
    logLevel: 'warn',
    build: { write: false, rolldownOptions: { input: join(root, 'main.js') } },
  });
  if (!('output' in built)) throw new Error('Vite built more than one bundle');
  return built.output.filter((file) => file.type === 'chunk');
}

/** The chunks reached from some, these included. */
function reach(
  chunks: readonly Chunk[],
  from: readonly Chunk[],
  next: (chunk: Chunk) => readonly string[],
): readonly Chunk[] {
  const reached = new Set(from);
  for (const chunk of reached) {
    for (const found of chunks.filter(({ fileName }) => next(chunk).includes(fileName))) {
      reached.add(found);
    }
  }
  return [...reached];
}

function gzipBytes(data: string | Uint8Array): number {
  return gzipSync(data, { level: 9 }).length;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function print(what: string, bytes = 0): void {
  process.stdout.write(`${what}: ${(bytes / KB).toFixed(1)} kB gzip\n`);
}
