// `npm run performance`: makes the tables of docs/performance.md of the measurements in docs/measurements/; docs/benchmarking.md
// says how to measure them. `npm run check:performance` (--check): fails where they are not what the files say.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format } from 'oxfmt';
import { REPOSITORY, withTypeScript } from './lib/import_typescript.js';

const PAGE = join(REPOSITORY, 'docs/performance.md');
const MEASUREMENTS = join(REPOSITORY, 'docs/measurements');

try {
  const before = readFileSync(PAGE, 'utf8');
  const after = await withTypeScript('scripts/lib/performance.ts', async ({ fillTables }) =>
    formatted(fillTables(before, measurements())),
  );
  if (!process.argv.includes('--check')) writeFileSync(PAGE, after);
  else if (after !== before)
    fail('docs/performance.md: not what docs/measurements/ says; run "npm run performance"');
} catch (error) {
  fail(error.message);
}

/** Name and contents of each file. */
function measurements() {
  const names = readdirSync(MEASUREMENTS).filter((name) => name.endsWith('.json'));
  return new Map(names.map((name) => [name, parsed(name)]));
}

/** @param {string} name */
function parsed(name) {
  try {
    return JSON.parse(readFileSync(join(MEASUREMENTS, name), 'utf8'));
  } catch (cause) {
    throw new Error(`docs/measurements/${name}: ${cause.message}`, { cause });
  }
}

/** As `npm run format` leaves it. @param {string} text */
async function formatted(text) {
  const style = JSON.parse(readFileSync(join(REPOSITORY, '.oxfmtrc.json'), 'utf8'));
  const { code, errors } = await format('performance.md', text, style);
  if (errors.length > 0) throw new Error(`docs/performance.md: ${JSON.stringify(errors)}`);
  return code;
}

/** @param {string} message */
function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
}
