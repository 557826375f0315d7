// `npm run build`: the published package in dist/, JavaScript, source maps, types and the licences of what is bundled.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './lib/bundle.js';
import { declarations } from './lib/declarations.js';
import { REPOSITORY } from './lib/import_typescript.js';

const NOTICE =
  'Bundled in part and minified, with these changes: scripts/lib/bundle.js of Quern.\n';

const dist = join(REPOSITORY, 'dist');
rmSync(dist, { recursive: true, force: true });
const packages = await bundle(REPOSITORY, dist);
for (const [name, text] of Object.entries(await declarations(REPOSITORY))) {
  writeFileSync(join(dist, `${name}.d.ts`), text);
}
writeFileSync(
  join(dist, 'THIRD_PARTY_LICENSES.txt'),
  [NOTICE, ...packages.map(license)].join('\n'),
);

/** @param {string} folder - of an npm package */
function license(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice)/i.test(file));
  if (files.length === 0) throw new Error(`${name} is bundled, but has no licence to ship with it`);
  const texts = files.map((file) => readFileSync(join(folder, file), 'utf8').trim());
  return [`${name} ${version} (${license})`, ...texts, ''].join('\n\n');
}
