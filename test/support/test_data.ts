/** Third-party files that tests use where they are at hand, but that are no part of the project. @module */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TokenizerFiles } from '../../src/tokenizer/tokenizer.ts';

/** Says why tests on test data were skipped. */
export const NO_TEST_DATA =
  'set QUERN_TEST_DATA to a folder that holds tokenizer folders (tokenizer.json, optionally cases.json)';

const MAX_DEPTH = 3;

/** Folders below QUERN_TEST_DATA, at most three levels deep, that hold the named file. */
export function testDataFolders(fileName: string): string[] {
  const root = process.env['QUERN_TEST_DATA'];
  if (root === undefined || root === '') return [];
  const found: string[] = [];
  const visit = (folder: string, depth: number): void => {
    if (existsSync(join(folder, fileName))) found.push(folder);
    if (depth === MAX_DEPTH) return;
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) visit(join(folder, entry.name), depth + 1);
    }
  };
  visit(root, 0);
  return found.sort();
}

/** Reads the files that describe a tokenizer. */
export function readTokenizerFolder(folder: string): TokenizerFiles {
  const template = join(folder, 'chat_template.jinja');
  return {
    tokenizerJson: readJson(join(folder, 'tokenizer.json')),
    tokenizerConfig: readJson(join(folder, 'tokenizer_config.json')),
    specialTokensMap: readJson(join(folder, 'special_tokens_map.json')),
    chatTemplate: existsSync(template) ? readFileSync(template, 'utf8') : undefined,
  };
}

/** Parses a JSON file; undefined if there is none. */
function readJson(path: string): unknown {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}
