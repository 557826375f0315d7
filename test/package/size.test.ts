import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { build, type Rolldown } from 'vite';
import { createApp } from './support/app.ts';

type Chunk = Rolldown.OutputChunk;

const KB = 1000;
/** With brotli, as most servers send it, 20 kB less. */
const MOST_BYTES = 165 * KB;

it(`the whole library has less than ${MOST_BYTES / KB} kB gzip`, () => {
  const dist = join(createApp({}), 'node_modules/quern/dist');
  // The command and its page are no part of it.
  const files = readdirSync(dist).filter((file) => /(?<!^(cli|parity_page))\.js$/.test(file));
  const sizes = files.map((file) => gzipBytes(readFileSync(join(dist, file))));
  const total = sum(sizes);
  print(`whole library, ${files.length} files`, total);
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
