import { readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { shaderMinifier } from './minify_shaders.js';
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
    // What the chunks below ask for.
    preserveEntrySignatures: 'allow-extension',
    treeshake: { propertyReadSideEffects: false, unknownGlobalSideEffects: false },
    plugins: [shaderText(repository), withoutUnused(), startedScripts(repository)],
  });
  try {
    const { output } = await build.write({
      dir: folder,
      format: 'esm',
      minify: true,
      sourcemap: true,
      comments: { annotation: false },
      codeSplitting: {
        includeDependenciesRecursively: false,
        groups: [chunks(repository)],
      },
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

/** `import text from './NAME.wgsl?raw'`. @param {string} repository */
function shaderText(repository) {
  const minify = shaderMinifier(repository);
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
      return { code: `export default ${JSON.stringify(minify(source))}`, moduleType: 'js' };
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

/** What is needed together, and loaded together: modules, and all that these import. */
const LOADED = {
  base: ['util/errors', 'util/objects', 'util/or_abort', 'engine/stream', 'engine/conversation'],
  sources: ['weights/sources/resolve'],
  port: ['worker/lifetime', 'worker/post', 'worker/protocol', 'worker/rpc'],
  remote: ['worker/remote_engine', 'worker/remote_encoder', 'worker/remote_seq2seq'],
  engine: ['engine/engine', 'models/decoders'],
  encoder: ['engine/encoder', 'models/encoders'],
  seq2seq: ['engine/seq2seq', 'models/encoder_decoders'],
};

/**
 * Puts modules into few chunks: left alone, the bundler makes one for every set of entries, many of them small, and
 * each is compressed apart. A chunk imports only those above it. What starts the worker is in `remote`, which the worker
 * does not import: Next.js waits for itself forever where a worker's code names the worker.
 *
 *     base ── sources ─┬─ port ── remote
 *                      └─ shaders, core ─┬─ encoder
 *                                        └─ engine ── seq2seq
 *
 * @param {string} repository
 */
function chunks(repository) {
  /** @type {Readonly<Record<keyof typeof LOADED, ReadonlySet<string>>> | undefined} */
  let reached;
  return {
    debugName: 'chunks',
    /** @param {string} id @param {import('rolldown').ChunkingContext} context */
    name(id, context) {
      reached ??= reach(repository, context);
      const { base, sources, port, remote, engine, encoder, seq2seq } = reached;
      const isLocal = engine.has(id) || encoder.has(id) || seq2seq.has(id);
      if (id.endsWith('.wgsl?raw')) return isLocal ? 'shaders' : null;
      if (base.has(id)) return 'base';
      if (sources.has(id)) return 'sources';
      if (encoder.has(id)) return engine.has(id) || seq2seq.has(id) ? 'core' : 'encoder';
      if (engine.has(id)) return 'engine';
      if (seq2seq.has(id)) return 'seq2seq';
      if (port.has(id)) return 'port';
      return remote.has(id) ? 'remote' : null;
    },
  };
}

/**
 * The ids of the modules that {@link LOADED} speaks of.
 *
 * @param {string} repository
 * @param {import('rolldown').ChunkingContext} context
 */
function reach(repository, context) {
  return Object.fromEntries(
    Object.entries(LOADED).map(([name, roots]) => {
      const ids = new Set(roots.map((root) => join(repository, 'src', `${root}.ts`)));
      for (const id of ids) {
        const module = context.getModuleInfo(id);
        if (module === null) throw new Error(`${id}: no such module, expected one for ${name}.js`);
        for (const next of module.importedIds) ids.add(next);
      }
      return [name, ids];
    }),
  );
}

/**
 * What no bundler can see is unused, by package: the code, and what is put in its place.
 *
 * @type {readonly (readonly [name: string, code: RegExp, replacement: string])[]}
 */
const UNUSED = [
  // Prints a template, a method of the class that renders it.
  ['jinja', /\n  format\(options\) \{[^}]*\}/, ''],
  // `createTokenizer` says that there is none: src/tokenizer/post_processor.ts does it.
  [
    'tokenizers',
    /(?<=\nfunction create_post_processor\(config\) \{\n)[^]*?(?=\n\}\n)/,
    '  return null;',
  ],
  // Models without a type: src/tokenizer/tokenizer_file.ts gives them one.
  [
    'tokenizers',
    /(?<=\nfunction create_tokenizer_model\([^]*?\n    default:\n)[^]*?(?=\n      throw )/,
    '',
  ],
];

/** Leaves out {@link UNUSED}, and what only that needs. */
function withoutUnused() {
  return {
    name: 'quern:without-unused',
    /** @param {string} code @param {string} id */
    transform(code, id) {
      const unused = UNUSED.filter(([name]) => id.includes(`/@huggingface/${name}/`));
      let shorter = code;
      for (const [, pattern, replacement] of unused) {
        if (!pattern.test(shorter))
          throw new Error(`${id}: found no ${pattern}, which is left out`);
        // As many lines as before, for the source map.
        shorter = shorter.replace(pattern, (cut) => replacement + cut.replaceAll(/[^\n]/g, ''));
      }
      return unused.length === 0 ? null : { code: shorter, map: null };
    },
  };
}
