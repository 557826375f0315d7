// `npm start`: serves the demo pages from their sources and opens them where there is a display.
import { parseArgs } from 'node:util';
import { createServer } from 'vite';
import { hasDisplay } from './lib/has_display.js';
import { REPOSITORY } from './lib/import_typescript.js';

const HELP = `usage: npm start -- [--port N] [--no-open]

Serves the chat page on this machine, prints its address, and opens it where there is a display.

  --port N    port to listen on (default 5173); the next free one when it is taken
  --no-open   do not open a browser
  --help      this text
`;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean' },
    port: { type: 'string', default: '5173' },
    'no-open': { type: 'boolean' },
  },
});
const port = Number(values.port);

if (values.help) {
  process.stdout.write(HELP);
} else if (!Number.isInteger(port) || port < 1 || port > 65_535) {
  process.stderr.write(`--port is "${values.port}", expected a number from 1 to 65535\n`);
  process.exitCode = 2;
} else {
  const server = await createServer({
    configFile: `${REPOSITORY}/vite.config.ts`,
    logLevel: 'warn',
    server: { port },
  });
  await server.listen();
  process.stdout.write(`Quern: ${server.resolvedUrls?.local[0]}\n`);
  if (!values['no-open'] && hasDisplay()) server.openBrowser();
}
