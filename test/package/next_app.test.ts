import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { expect, it, onTestFinished } from 'vitest';
import { APP_MODULE, createApp } from './support/app.ts';
import { useBrowser } from './support/browser.ts';
import { serve } from './support/server.ts';
import { run } from './support/tarball.ts';

const expectReplies = useBrowser();

const PACKAGES = ['next@16.4.6', 'react@19.3.1', 'react-dom@19.3.1'];

const FILES = {
  'package.json': '{ "name": "app", "private": true }',
  'app/layout.js':
    'export default ({ children }) => <html lang="en"><body>{children}</body></html>;',
  'app/page.js': `'use client';
import { useEffect, useState } from 'react';
import { reply } from './reply.js';

export default function Page() {
  const [shown, setShown] = useState();
  useEffect(() => {
    reply().then(setShown, (error) => setShown({ error: String(error.stack ?? error) }));
  }, []);
  return shown && <output>{JSON.stringify(shown)}</output>;
}
`,
  'app/reply.js': APP_MODULE,
};

it('replies in a Next.js application', async () => {
  const folder = createApp(FILES, PACKAGES);
  const next = `${folder}/node_modules/next/dist/bin/next`;
  process.env['NEXT_TELEMETRY_DISABLED'] = '1';
  run(process.execPath, [next, 'build'], folder);
  await expectReplies(`${await serve(await startNext(next, folder))}/`);
  expect.hasAssertions();
});

/** Starts the built application; what the test's own server does not have is asked of it. */
async function startNext(next: string, cwd: string): Promise<Parameters<typeof serve>[0]> {
  const args = [next, 'start', '--port', '0', '--hostname', '127.0.0.1'];
  const app = spawn(process.execPath, args, { cwd });
  onTestFinished(async () => {
    app.kill();
    if (app.exitCode === null && app.signalCode === null) await once(app, 'exit');
  });
  const port = await new Promise<number>((resolve, reject) => {
    let output = '';
    const read = (bytes: Buffer): void => {
      output += String(bytes);
      const found = /http:\/\/127\.0\.0\.1:(\d+)/.exec(output)?.[1];
      if (found !== undefined && output.includes('Ready')) resolve(Number(found));
    };
    app.stdout.on('data', read);
    app.stderr.on('data', read);
    app.on('exit', () => reject(new Error(`next start ended: ${output}`)));
  });
  return ({ method, url, headers }, response) => {
    const asked = request({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    asked.end();
  };
}
