import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { expect, inject, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { createApp } from './support/app.ts';
import { run } from './support/tarball.ts';

const tarball = readFileSync(inject('tarball'));

/** The installed package's folder. */
function installed(): string {
  return join(createApp({}), 'node_modules/quern');
}

it('holds what it runs and what one may want to read, nothing else', () => {
  const folder = installed();
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const expected =
    /^(package\.json|README\.md|LICENSE|dist|dist\/([\w-]+\.(js|js\.map|d\.ts)|THIRD_PARTY_LICENSES\.txt))$/;
  expect(files.filter((file) => !expected.test(file))).toEqual([]);
  expect(manifest).not.toHaveProperty('dependencies');

  const licenses = readFileSync(join(folder, 'dist/THIRD_PARTY_LICENSES.txt'), 'utf8');
  expect(licenses).toMatch(/^@huggingface\/jinja \d[^]*Permission is hereby granted/m);
  expect(licenses).toMatch(/^@huggingface\/tokenizers \d[^]*Apache License/m);
});

it('compiles no code at run time', () => {
  const dist = join(installed(), 'dist');
  const scripts = readdirSync(dist).filter((file) => file.endsWith('.js'));
  const used = scripts.flatMap((file) => {
    const code = readFileSync(join(dist, file), 'utf8');
    const found = code.match(/new Function\b|\bFunction\(|\beval\(|\bWebAssembly\b|importScripts/g);
    return (found ?? []).map((what) => `${file}: ${what}`);
  });
  expect(scripts).toContain('index.js');
  expect(used).toEqual([]);
});

it('tells React frameworks that the hook is for the browser', () => {
  const code = readFileSync(join(installed(), 'dist/react.js'), 'utf8');
  expect(code).toMatch(/^"use client";/);
});

it('satisfies publint', async () => {
  const pack = { tarball: new Uint8Array(tarball).buffer };
  const { messages, pkg } = await publint({ pack, strict: true });
  expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
});

it('has types for every entry and module resolution that ESM has', async () => {
  const analysis = await checkPackage(createPackageFromTarballData(tarball));
  if (analysis.types === false) throw new Error('no types');
  // The others are `node10`, which knows no exports, and `require`.
  const problems = analysis.problems.filter(
    (problem) => !('resolutionKind' in problem) || !/^node10$|cjs/.test(problem.resolutionKind),
  );
  expect(problems).toEqual([]);
  expect(Object.keys(analysis.entrypoints)).toEqual(Object.keys(manifest.exports));
});

it('runs as a command', () => {
  const folder = createApp({});
  const output = run(`${folder}/node_modules/.bin/quern`, ['--help'], folder);
  expect(output).toMatch(/^Usage: quern COMMAND/);
});
