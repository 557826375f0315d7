// `npm run api`: writes the public types to api/, one file per entry of the package, for review.
// `npm run check:api` (--check): fails where they are not what the sources say.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { declarations } from './lib/declarations.js';
import { REPOSITORY } from './lib/import_typescript.js';

const api = join(REPOSITORY, 'api');
const texts = Object.entries(await declarations(REPOSITORY)).map(([entry, text]) => ({
  file: entry === 'index' ? 'quern.d.ts' : `quern-${entry}.d.ts`,
  text,
}));

if (process.argv.includes('--check')) {
  const known = existsSync(api) ? readdirSync(api) : [];
  const stale = [
    ...texts.filter(({ file, text }) => !known.includes(file) || committed(file) !== text),
    ...known
      .filter((file) => !texts.some((entry) => entry.file === file))
      .map((file) => ({ file })),
  ].map(({ file }) => `api/${file}`);
  if (stale.length > 0) {
    process.stderr.write(
      `${stale.join(', ')}: not the types of the sources; run "npm run api" and look at the difference\n`,
    );
    process.exitCode = 1;
  }
} else {
  rmSync(api, { recursive: true, force: true });
  mkdirSync(api);
  for (const { file, text } of texts) writeFileSync(join(api, file), text);
}

/** @param {string} file */
function committed(file) {
  return readFileSync(join(api, file), 'utf8');
}
