import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import manifest from '../../weights/manifest.json' with { type: 'json' };

const WEIGHTS = new URL('../../weights/', import.meta.url);

/** Paths of all files below a folder, relative to it. */
async function filesOf(folder: URL): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const prefix = fileURLToPath(folder);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(prefix.length).replaceAll('\\', '/'))
    .sort();
}

it('lists every model of the folder', async () => {
  const entries = await readdir(WEIGHTS, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  expect(manifest.models.map(({ directory }) => directory).sort()).toEqual(folders.sort());
});

it.each(manifest.models)('has size and SHA-256 of every file of $name', async (model) => {
  const folder = new URL(`${model.directory}/`, WEIGHTS);
  const files = await Promise.all(
    (await filesOf(folder)).map(async (path) => {
      const bytes = await readFile(new URL(path, folder));
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      return { path, bytes: bytes.length, sha256 };
    }),
  );
  expect(files).toEqual(model.files);
});

it.each(manifest.models)('says where $name is from and what it may be used for', (model) => {
  for (const text of [model.description, model.source, model.provenance, model.licenseNote]) {
    expect(text.length).toBeGreaterThan(40);
  }
  expect(model.license).toMatch(/^[\w.-]+$/);
});
