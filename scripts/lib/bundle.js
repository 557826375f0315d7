import { readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { ENTRIES } from './package_entries.js';

/** Peers: their users bring them. Everything else is bundled: workers and plain pages resolve no package names. */
const EXTERNAL = [
  /^node:/,
  /^react($|\/)/,
  /^ai$/,
  /^@ai-sdk\//,
  'webgpu',
  'vite',
  'puppeteer-core',
];

/**
 * Bundles the entries of the package as ESM, with shared chunks.
 *
 * @param {string} repository
 * @param {string} folder - where the files go
 * @returns {Promise<readonly string[]>} folders of the npm packages that went in
 */
export async function bundle(repository, folder) {
  const input = Object.fromEntries(
    Object.entries(ENTRIES).map(([name, file]) => [name, join(repository, file)]),
  );
  const build = await rolldown({
    input,
    platform: 'browser',
    external: EXTERNAL,
    // `use client` of the React entry is kept, since nothing is joined with it; a test looks.
    checks: { moduleLevelDirective: false },
    plugins: [shaderText(), startedScripts(repository)],
  });
  try {
    const { output } = await build.write({
      dir: folder,
      format: 'esm',
      minify: true,
      sourcemap: true,
      entryFileNames: '[name].js',
      // Beside the entries: they start scripts by addresses relative to their own.
      chunkFileNames: '[name].js',
    });
    const modules = output.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
    const packages = modules.map((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0]);
    return [...new Set(packages.filter((path) => path !== undefined))].sort();
  } finally {
    await build.close();
  }
}

/**
 * WGSL without its comments. Lines stay where they are, for the compiler's messages; `//!` lines are not comments.
 *
 * @param {string} source
 */
export function stripShader(source) {
  return source.replaceAll(/ *\/\/(?!!).*$/gm, '');
}

/** `import text from './NAME.wgsl?raw'`. */
function shaderText() {
  return {
    name: 'quern:shader-text',
    /** @param {string} id @param {string | undefined} importer */
    resolveId(id, importer = '') {
      return id.endsWith('.wgsl?raw') ? resolve(dirname(importer), id) : null;
    },
    /** @param {string} id */
    async load(id) {
      if (!id.endsWith('.wgsl?raw')) return null;
      const source = await readFile(id.slice(0, -'?raw'.length), 'utf8');
      return { code: `export default ${JSON.stringify(stripShader(source))}`, moduleType: 'js' };
    },
  };
}

/**
 * `new URL('./NAME.ts', import.meta.url)` names the entry that is built from NAME.ts: browsers, Node and the bundlers of
 * applications find it beside the file that names it.
 *
 * @param {string} repository
 */
function startedScripts(repository) {
  return {
    name: 'quern:started-scripts',
    /** @param {string} code @param {string} id */
    transform(code, id) {
      if (!id.endsWith('.ts')) return null;
      const named = code.replaceAll(
        /(?<=new URL\(')(\.\/[\w/]+\.ts)(?=', import\.meta\.url\))/g,
        (path) => {
          const file = relative(repository, resolve(dirname(id), path));
          const entry = Object.keys(ENTRIES).find((name) => ENTRIES[name] === file);
          if (entry === undefined) throw new Error(`${id}: ${path} is no entry of the package`);
          return `./${entry}.js`;
        },
      );
      return { code: named, map: null };
    },
  };
}
