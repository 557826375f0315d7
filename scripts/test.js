// `npm test`: sets up what the tests need, then runs them all.
import { spawnSync } from 'node:child_process';
import { REPOSITORY } from './lib/import_typescript.js';
import { setUp } from './setup.js';

const HELP = `usage: npm test -- [--no-install] [FILTER...] [vitest options]

Sets up what the tests need (see node scripts/setup.js --help), runs them, and ends with the number of tests that
passed, failed and were skipped, the reasons for skipping before it.

  FILTER            only test files whose path contains it
  --project NAME    only unit, shader, gpu, browser or package (repeatable)
  --no-install      install nothing; tests whose browser or adapter is missing are skipped
  --help            this text

Environment:
  QUERN_ADAPTER     run GPU tests only on this adapter: lavapipe, swiftshader or default
  QUERN_CHROMIUM    path of the Chromium to test in
  QUERN_FIREFOX     path of the Firefox to test in
  QUERN_TEST_DATA   folder with further models and tokenizers; tests that need it are skipped without it
`;

const args = process.argv.slice(2);
if (args.includes('--help')) {
  process.stdout.write(HELP);
} else {
  await setUp({ install: !args.includes('--no-install') });
  const vitest = `${REPOSITORY}/node_modules/vitest/vitest.mjs`;
  const filters = args.filter((arg) => arg !== '--no-install');
  const { status } = spawnSync(process.execPath, [vitest, 'run', ...filters], {
    cwd: REPOSITORY,
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
}
