// `npm run peers -- ...`: measures Quern beside other engines. They are a package of their own, `peers/`, which is
// installed here when it is first needed. Its own --help lists what it does.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { REPOSITORY, withTypeScript } from './lib/import_typescript.js';

const PEERS = `${REPOSITORY}/peers`;

const { dependencies } = JSON.parse(readFileSync(`${PEERS}/package.json`, 'utf8'));
const isInstalled = Object.keys(dependencies).every((name) =>
  existsSync(`${PEERS}/node_modules/${name}`),
);
if (!isInstalled) install();
process.exitCode = await withTypeScript('peers/main.ts', ({ main }) => main(process.argv.slice(2)));

/** Exactly what the lock file says, without ONNX Runtime's files for CUDA, which are fetched by a script of its own. */
function install() {
  const { status } = spawnSync('npm', ['ci', '--no-audit'], {
    cwd: PEERS,
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' },
    stdio: ['ignore', 'inherit', 'inherit'],
    // npm is a script for the shell on Windows.
    shell: process.platform === 'win32',
  });
  if (status !== 0) process.exit(status ?? 1);
}
