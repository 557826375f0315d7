import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { modelPath } from '../../../../src/cli/browser/model_path.ts';
import { serveModels } from '../../../../src/cli/browser/serve_models.ts';
import { openDirectory } from '../../../../src/node/directory.ts';
import { DownloadError } from '../../../../src/util/errors.ts';
import { urlSource } from '../../../../src/weights/sources/url.ts';
import { memorySource } from '../../../support/memory_source.ts';

const LONG = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);
let server: Server;
let origin: string;

beforeAll(async () => {
  const model = memorySource({
    'config.json': '{}',
    'a folder/ü#?.bin': LONG,
    empty: new Uint8Array(),
  });
  const handler = serveModels([model, openDirectory('/there is/no such folder ü')]);
  server = createServer((request, response) =>
    handler(request, response, () => response.writeHead(404).end('next')),
  );
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  origin = `http://127.0.0.1:${address.port}`;
});
afterAll(() => server.close());

const source = (index: number) => urlSource(new URL(modelPath(index), origin));

it('serves files whole and in ranges, under any name', async () => {
  const small = await source(0).open('config.json');
  expect(small && [...(await small.read(0, small.size))]).toEqual([123, 125]);
  const long = await source(0).open('a folder/ü#?.bin');
  expect(long?.size).toBe(LONG.length);
  const rest = await long?.read(10, LONG.length);
  // toEqual takes seconds for so many bytes.
  expect(Buffer.compare(rest ?? Buffer.alloc(0), LONG.slice(10))).toBe(0);
  expect((await source(0).open('empty'))?.size).toBe(0);
  const whole = await fetch(`${origin}${modelPath(0)}config.json`);
  expect([whole.status, await whole.text()]).toEqual([200, '{}']);
});

it('tells a missing file from a folder that cannot be read', async () => {
  expect(await source(0).open('model.safetensors')).toBeUndefined();
  const opening = source(1).open('config.json');
  await expect(opening).rejects.toThrow(DownloadError);
  await expect(opening).rejects.toThrow('there is nothing at this path');
});

it('has an empty page at the root and leaves the rest to others', async () => {
  const page = await fetch(`${origin}/?x`);
  expect(page.headers.get('Content-Type')).toBe('text/html');
  expect(await (await fetch(`${origin}/models/2/config.json`)).text()).toBe('next');
  expect(await (await fetch(`${origin}/src/x.ts`)).text()).toBe('next');
});
