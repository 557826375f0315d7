// Finds the browsers and graphics adapters that the tests run on and, on Debian and Ubuntu as root, installs those that
// are missing. Takes less than a second when all is there. Called by `npm test`; usable alone.
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { canInstall, install } from './lib/apt.js';
import { withTypeScript } from './lib/import_typescript.js';

const HELP = `usage: node scripts/setup.js [--no-install]

Looks for what the tests run on: Chromium, Firefox, and the software graphics adapters lavapipe and SwiftShader.
On Debian and Ubuntu as root it installs what is missing with apt. Exit code 1 if something is still missing.

  --no-install   only say what is missing and how to get it
  --help         this text
`;

/**
 * @param {{ install: boolean }} options
 * @returns {Promise<readonly string[]>} a sentence for each thing that is missing in the end
 */
export async function setUp(options) {
  let missing = await findMissing();
  if (missing.length > 0 && options.install && canInstall()) {
    const packages = [...new Set(missing.flatMap((requirement) => requirement.packages))];
    install(packages, print);
    missing = await findMissing();
  }
  for (const { reason } of missing) print(`set-up: missing: ${reason}`);
  if (missing.length === 0) print('set-up: Chromium, Firefox, lavapipe and SwiftShader are there');
  return missing.map(({ reason }) => reason);
}

/** @returns {Promise<{ reason: string, packages: readonly string[] }[]>} */
async function findMissing() {
  const missing = [];
  await withTypeScript('src/cli/browser/find.ts', async ({ findBrowser }) => {
    for (const [name, apt] of [
      ['chromium', 'chromium'],
      ['firefox', 'firefox-esr'],
    ]) {
      const { path, reason } = findBrowser(name);
      if (path === undefined) missing.push({ reason, packages: [apt] });
    }
  });
  await withTypeScript('src/node/gpu.ts', async ({ openGpu }) => {
    for (const [name, apt] of [
      ['lavapipe', 'mesa-vulkan-drivers'],
      ['swiftshader', 'chromium'],
    ]) {
      try {
        await openGpu(name);
      } catch (error) {
        missing.push({ reason: error.message, packages: ['libvulkan1', apt] });
      }
    }
  });
  return missing;
}

/** @param {string} line */
function print(line) {
  process.stdout.write(`${line}\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { values } = parseArgs({
    options: { help: { type: 'boolean' }, 'no-install': { type: 'boolean' } },
  });
  if (values.help) print(HELP);
  else process.exitCode = (await setUp({ install: !values['no-install'] })).length === 0 ? 0 : 1;
}
