// `npm run example NAME`: runs an example of examples/ against the sources of this repository.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { createServer } from 'vite';
import { hasDisplay } from './lib/has_display.js';
import { REPOSITORY, withTypeScript } from './lib/import_typescript.js';

const PAGES = ['minimal', 'worker', 'react', 'ai-sdk'];
const SCRIPTS = ['node', 'serve'];

const HELP = `usage: npm run example NAME -- [--port N] [--no-open] [ARGUMENT...]

Runs an example with the bundled model. ${PAGES.join(', ')} are pages: serves them on this machine, prints the address,
and opens it where there is a display. ${SCRIPTS.join(', ')} run in Node and get the arguments; for serve, the server
is started and ended as well.

  --port N    port for pages (default 5173); the next free one when it is taken
  --no-open   do not open a browser
  --help      this text
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean' },
    port: { type: 'string', default: '5173' },
    'no-open': { type: 'boolean' },
  },
});
const [name = '', ...args] = positionals;
const port = Number(values.port);

if (values.help) {
  process.stdout.write(HELP);
} else if (!Number.isInteger(port) || port < 1 || port > 65_535) {
  fail(`--port is "${values.port}", expected a number from 1 to 65535`);
} else if (PAGES.includes(name)) {
  await servePage();
} else if (name === 'node') {
  await runScript();
} else if (name === 'serve') {
  process.exitCode = await runBesideServer();
} else {
  fail(`example "${name}", expected one of: ${[...PAGES, ...SCRIPTS].join(', ')}`);
}

async function servePage() {
  const server = await createServer({
    configFile: `${REPOSITORY}/vite.config.ts`,
    root: `${REPOSITORY}/examples/${name}`,
    logLevel: 'warn',
    server: { port },
  });
  await server.listen();
  process.stdout.write(`${name}: ${server.resolvedUrls?.local[0]}\n`);
  if (!values['no-open'] && hasDisplay()) server.openBrowser();
}

async function runScript() {
  process.argv = [process.argv[0] ?? 'node', `examples/${name}/main.js`, ...args];
  await withTypeScript(`examples/${name}/main.js`, async () => undefined);
}

/** @returns {Promise<number>} the exit code of the example */
async function runBesideServer() {
  const server = spawn(
    process.execPath,
    [`${REPOSITORY}/scripts/quern.js`, 'serve', `${REPOSITORY}/weights/tinychat`, '--port', '0'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    for await (const url of createInterface({ input: server.stdout })) {
      const client = spawn(process.execPath, [`${REPOSITORY}/examples/${name}/main.js`, ...args], {
        stdio: 'inherit',
        env: { ...process.env, OPENAI_BASE_URL: url },
      });
      return await exitOf(client);
    }
    return await exitOf(server);
  } finally {
    server.kill('SIGTERM');
    await exitOf(server);
  }
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @returns {Promise<number>}
 */
function exitOf(child) {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode ?? 1);
    else child.once('exit', (code) => resolve(code ?? 1));
  });
}

/** @param {string} message */
function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exitCode = 2;
}
