import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { format } from 'oxfmt';
import { ENTRIES, TYPED_ENTRIES } from './package_entries.js';

/**
 * The public types of the package, one text per typed entry: each declaration once, private ones left unexported.
 *
 * TypeScript declares each source file, API Extractor rolls them up. What the other entries take from the main entry
 * they import from `quern`.
 *
 * @param {string} repository
 * @returns {Promise<Readonly<Record<string, string>>>} by name of the entry
 */
export async function declarations(repository) {
  const staging = join(repository, '.cache/types');
  rmSync(staging, { recursive: true, force: true });
  const tsc = join(repository, 'node_modules/typescript/lib/tsc.js');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
    cwd: repository,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`tsc -p tsconfig.build.json:\n${stdout}`);

  // A package of its own: here `quern` is another one.
  writeFileSync(join(staging, 'package.json'), '{ "name": "staging" }');
  writeFileSync(join(staging, 'tsconfig.json'), JSON.stringify(ROLL_UP_OPTIONS));
  const main = rollUp(staging, 'index');
  importMain(staging, exportedNames(main));
  // Found by the name `quern` from all files of the staging folder.
  const self = join(staging, 'node_modules/quern');
  mkdirSync(self, { recursive: true });
  writeFileSync(join(self, 'index.d.ts'), main);
  writeFileSync(join(self, 'package.json'), '{ "name": "quern", "types": "index.d.ts" }');
  const others = TYPED_ENTRIES.filter((name) => name !== 'index');
  const rolled = [['index', main], ...others.map((name) => [name, rollUp(staging, name)])];
  const style = JSON.parse(readFileSync(join(repository, '.oxfmtrc.json'), 'utf8'));
  const readable = rolled.map(async ([name, text]) => {
    const { code } = await format(`${name}.d.ts`, text, style);
    return [name, code];
  });
  return Object.fromEntries(await Promise.all(readable));
}

/** What the compiler inside API Extractor needs: WebGPU is in its `lib.dom.d.ts`. */
const ROLL_UP_OPTIONS = {
  compilerOptions: {
    target: 'ES2023',
    lib: ['ES2024', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable', 'ESNext.Disposable'],
    module: 'preserve',
    moduleResolution: 'bundler',
    strict: true,
    skipLibCheck: true,
    types: [],
  },
  include: ['**/*.d.ts'],
};

/** A declaration that is exported under its name without the number; see {@link withoutAliases}. */
const SAME_NAME = /^The symbol "(\w+)_2" needs to be exported/;

/** @param {string} staging @param {string} name */
function rollUp(staging, name) {
  const output = join(staging, `${name}.rolled.d.ts`);
  const config = ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: join(staging, 'package.json'),
    configObject: {
      projectFolder: staging,
      newlineKind: 'lf',
      mainEntryPointFilePath: declarationFile(staging, name),
      compiler: { tsconfigFilePath: join(staging, 'tsconfig.json') },
      dtsRollup: { enabled: true, untrimmedFilePath: output },
      messages: {
        compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
        extractorMessageReporting: {
          default: { logLevel: ExtractorLogLevel.Error },
          // Everything exported is public; there are no tags to say so.
          'ae-missing-release-tag': { logLevel: ExtractorLogLevel.None },
          // {@link} to what another entry exports.
          'ae-unresolved-link': { logLevel: ExtractorLogLevel.None },
        },
        // `@throws {Name}` is JSDoc, which editors understand, not TSDoc.
        tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
      },
    },
  });
  /** @type {string[]} */
  const problems = [];
  Extractor.invoke(config, {
    localBuild: true,
    messageCallback(message) {
      const { logLevel, text, sourceFilePath = name, sourceFileLine = 0 } = message;
      if (logLevel === ExtractorLogLevel.Error && !SAME_NAME.test(text)) {
        problems.push(`${relative(staging, sourceFilePath)}:${sourceFileLine}: ${text}`);
      }
      message.handled = true;
    },
  });
  if (problems.length > 0) throw new Error(`types of entry ${name}:\n${problems.join('\n')}`);
  return withoutAliases(readFileSync(output, 'utf8'));
}

/** Puts `interface Name_2` in the place of `type Name = Name_2`, the alias by which its module exports it. */
function withoutAliases(/** @type {string} */ rolled) {
  const alias = /(?:\/\*\*(?:(?!\*\/)[^])*\*\/\n)?export declare type (\w+) = \1_2;\n\n/g;
  const names = [...rolled.matchAll(alias)].map(([, name]) => name);
  return names.reduce(
    (text, name) =>
      text
        .replace(`\ndeclare interface ${name}_2 `, `\nexport declare interface ${name} `)
        .replaceAll(new RegExp(`\\b${name}_2\\b`, 'g'), name),
    rolled.replaceAll(alias, ''),
  );
}

/**
 * Has all files import from `quern` what that exports, instead of from the files inside it.
 *
 * @param {string} staging @param {ReadonlySet<string>} exported
 */
function importMain(staging, exported) {
  for (const file of readdirSync(staging, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.d.ts')) continue;
    const path = join(staging, file);
    const text = readFileSync(path, 'utf8').replaceAll(
      /^(import|export) (type )?\{ ([^}]+) \} from '\.\.?\/[^']+';$/gm,
      (line, keyword, type, names) =>
        names.split(', ').every((/** @type {string} */ name) => exported.has(name))
          ? `${keyword} ${type ?? ''}{ ${names} } from 'quern';`
          : line,
    );
    writeFileSync(path, text);
  }
}

/** @param {string} rolled */
function exportedNames(rolled) {
  const declared = /^export declare (?:abstract )?(?:class|const|function|interface|type) (\w+)/gm;
  return new Set([...rolled.matchAll(declared)].map(([, name]) => name));
}

/** @param {string} staging @param {string} name */
function declarationFile(staging, name) {
  return join(staging, ENTRIES[name].replace(/^src\//, '').replace(/\.ts$/, '.d.ts'));
}
