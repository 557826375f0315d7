import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ApiServer, type ApiServerOptions } from '../../../src/cli/serve/api_server.ts';
import { chatParams, completionParams } from '../../../src/cli/serve/fields.ts';
import { DeviceLostError, RequestError } from '../../../src/util/errors.ts';
import { ScriptedEngine } from '../../support/scripted_engine.ts';

const servers: ApiServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close(0);
});

interface ErrorAnswer {
  readonly error: { message: string; type: string; param: string | null; code: string | null };
}

async function serve(options: Partial<ApiServerOptions> = {}, engine = new ScriptedEngine()) {
  const server = await ApiServer.listen({
    model: 'org/tiny',
    host: '127.0.0.1',
    port: 0,
    corsOrigins: [],
    ...options,
  });
  servers.push(server);
  server.use(engine);
  const call = (path: string, init?: RequestInit) => fetch(server.url.replace('/v1', path), init);
  const post = (body: unknown, init: RequestInit = {}, path = '/v1/chat/completions') =>
    call(path, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...init,
      headers: { 'Content-Type': 'application/json', ...(init.headers as Record<string, string>) },
    });
  return { server, engine, call, post };
}

const MESSAGES = [{ role: 'user', content: 'Hi' }];
const body = { model: 'org/tiny', messages: MESSAGES };

async function errorOf(answer: Response): Promise<ErrorAnswer['error'] & { status: number }> {
  const { error } = (await answer.json()) as ErrorAnswer;
  return { status: answer.status, ...error };
}

/** The events of a stream, `[DONE]` included. */
async function eventsOf(answer: Response): Promise<readonly string[]> {
  const text = await answer.text();
  expect(text.endsWith('\n\n')).toBe(true);
  return text
    .slice(0, -2)
    .split('\n\n')
    .map((event) => event.replace(/^data: /, ''));
}

describe('answers', () => {
  it('a chat completion under the name that clients know', async () => {
    const { post, engine } = await serve();
    const answer = await post({ ...body, temperature: 0.5, user: 'me', seed: null });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({
      object: 'chat.completion',
      model: 'org/tiny',
      choices: [{ message: { role: 'assistant', content: 'Hello.', refusal: null } }],
      usage: { total_tokens: 14 },
    });
    const [{ signal, ...request } = { signal: undefined }] = engine.requests;
    expect(signal).toBeInstanceOf(AbortSignal);
    expect(request).toEqual({ messages: MESSAGES, temperature: 0.5, stream: false });
  });

  it('a stream whose usage comes only where it is asked for', async () => {
    const { post } = await serve();
    const plain = await eventsOf(await post({ ...body, stream: true }));
    expect(plain.at(-1)).toBe('[DONE]');
    const chunks = plain.slice(0, -1).map((event) => JSON.parse(event));
    expect(chunks.map(({ choices }) => choices[0].delta.content ?? '').join('')).toBe('Hello.');
    expect(chunks.every((chunk) => !('usage' in chunk) && chunk.model === 'org/tiny')).toBe(true);

    const asked = { ...body, stream: true, stream_options: { include_usage: true } };
    const counted = (await eventsOf(await post(asked))).slice(0, -1).map((e) => JSON.parse(e));
    expect(counted.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    expect(counted.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 14 } });
  });

  it('plain completions, streamed and whole', async () => {
    const { post, engine } = await serve();
    const path = '/v1/completions';
    const whole = await (await post({ prompt: 'Once' }, {}, path)).json();
    expect(whole).toMatchObject({ model: 'org/tiny', choices: [{ text: 'Hello.' }] });
    expect(engine.requests[0]).toMatchObject({ prompt: 'Once', max_tokens: 16 });
    const events = await eventsOf(await post({ prompt: 'Once', stream: true }, {}, path));
    expect(JSON.parse(events[0] ?? '')).toMatchObject({ choices: [{ text: 'Hel' }] });
  });

  it('the model, however its name is written', async () => {
    const { call } = await serve();
    const list = await (await call('/v1/models?x=1')).json();
    expect(list).toMatchObject({ object: 'list', data: [{ id: 'org/tiny', object: 'model' }] });
    for (const name of ['org/tiny', 'org%2Ftiny']) {
      expect(await (await call(`/v1/models/${name}`)).json()).toMatchObject({ id: 'org/tiny' });
    }
    for (const name of ['other', '%zz', '']) {
      const answer = await call(`/v1/models/${name}`);
      expect(await errorOf(answer)).toMatchObject({ status: 404, code: 'model_not_found' });
    }
    expect((await call('/v1/models', { method: 'HEAD' })).status).toBe(200);
    expect(await (await call('/health')).json()).toMatchObject({ status: 'ok', running: 0 });
  });
});

describe('refuses', () => {
  it.each([
    ['{', 400, 'the body is not JSON', null],
    ['[]', 400, 'the body is an empty array', null],
    ['', 400, 'the body is not JSON', null],
    [{ ...body, model: 'gpt-5' }, 404, 'model is "gpt-5", expected "org/tiny"', 'model'],
    [{ ...body, tools: [{ type: 'function' }] }, 400, 'tools is an array', 'tools'],
    [{ ...body, response_format: { type: 'json_object' } }, 400, 'not supp', 'response_format'],
    [{ ...body, top_pp: 1 }, 400, 'top_pp, which this server does not support', 'top_pp'],
    [{ ...body, stream: 'yes' }, 400, 'stream is "yes"', 'stream'],
    [{ ...body, stream_options: {} }, 400, 'expected stream: true', 'stream_options'],
    ['{"__proto__": 1}', 400, '__proto__, which', '__proto__'],
    ['{"constructor": 1}', 400, 'constructor, which', 'constructor'],
  ])('%j', async (sent, status, message, param) => {
    const { post, engine } = await serve();
    const error = await errorOf(await post(sent));
    expect(error).toMatchObject({ status, param, type: 'invalid_request_error' });
    expect(error.message).toContain(message);
    expect(engine.requests).toEqual([]);
  });

  it("what the engine refuses, by the engine's word", async () => {
    const { post, engine } = await serve();
    engine.script = {
      pieces: [],
      refusal: new RequestError('request: top_p is 2', { param: 'top_p' }),
    };
    for (const stream of [true, false]) {
      expect(await errorOf(await post({ ...body, stream }))).toMatchObject({
        status: 400,
        message: 'request: top_p is 2',
        param: 'top_p',
      });
    }
  });

  it('unknown paths, methods and kinds of body', async () => {
    const { call, post } = await serve();
    expect(await errorOf(await call('/v1/embeddings', { method: 'POST' }))).toMatchObject({
      status: 404,
    });
    const wrong = await call('/v1/chat/completions');
    expect(wrong.headers.get('Allow')).toBe('POST');
    expect(await errorOf(wrong)).toMatchObject({ status: 405 });
    const text = await post(body, { headers: { 'Content-Type': 'text/plain' } });
    expect(await errorOf(text)).toMatchObject({ status: 415 });
  });

  it('a body that is too long, told beforehand or not', async () => {
    const { post } = await serve({ maxBodyBytes: 1000 });
    const long = JSON.stringify({ ...body, user: 'x'.repeat(2000) });
    expect((await post(long)).status).toBe(413);
    const stream = new Blob([long]).stream();
    const chunked = await post('', { body: stream, duplex: 'half' } as RequestInit);
    expect(await errorOf(chunked)).toMatchObject({ status: 413 });
    expect((await post(body)).status).toBe(200);
  });

  it('everything but health without the key', async () => {
    const { call, post } = await serve({ apiKey: 'secret' });
    for (const Authorization of ['', 'Bearer wrong', 'Basic secret']) {
      const error = await errorOf(await post(body, { headers: { Authorization } }));
      expect(error).toMatchObject({ status: 401, code: 'invalid_api_key' });
    }
    const headers = { Authorization: 'Bearer secret' };
    expect((await post(body, { headers })).status).toBe(200);
    expect((await call('/v1/models')).status).toBe(401);
    expect((await call('/health')).status).toBe(200);
  });

  it('a page that gave this machine a name of its own', async () => {
    const { server } = await serve();
    const { port } = new URL(server.url);
    const ask = async (host: string): Promise<string> => {
      const socket = connect(Number(port), '127.0.0.1');
      socket.write(`GET /v1/models HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      const [data] = (await once(socket, 'data')) as [Buffer];
      socket.destroy();
      return data.toString().slice(9, 12);
    };
    expect(await ask('evil.example')).toBe('403');
    expect(await ask('127.0.0.1.evil.example:80')).toBe('403');
    expect(await ask(`localhost:${port}`)).toBe('200');
    expect(await ask('[::1]')).toBe('200');
  });
});

describe('CORS', () => {
  const preflight = (Origin: string): RequestInit => ({
    method: 'OPTIONS',
    headers: {
      Origin,
      'Access-Control-Request-Method': 'POST',
      'Access-Control-Request-Headers': 'authorization, x-stainless-os',
    },
  });

  it('is off by default', async () => {
    const { call } = await serve();
    const answer = await call('/v1/chat/completions', preflight('https://a.example'));
    expect(answer.status).toBe(405);
    expect(answer.headers.get('Access-Control-Allow-Origin')).toBeNull();
  });

  it('lets the named sites in, without a key for the preflight', async () => {
    const { call } = await serve({ corsOrigins: ['https://a.example'], apiKey: 'secret' });
    const allowed = await call('/v1/chat/completions', preflight('https://a.example'));
    expect(allowed.status).toBe(204);
    expect(Object.fromEntries(allowed.headers)).toMatchObject({
      'access-control-allow-origin': 'https://a.example',
      'access-control-allow-headers': 'authorization, x-stainless-os',
      vary: 'Origin',
    });
    const other = await call('/v1/chat/completions', preflight('https://b.example'));
    expect(other.headers.get('Access-Control-Allow-Origin')).toBeNull();
    const refused = await call('/v1/models', { headers: { Origin: 'https://a.example' } });
    expect(refused.status).toBe(401); // which the page may read
    expect(refused.headers.get('Access-Control-Allow-Origin')).toBe('https://a.example');
  });
});

describe('what goes wrong', () => {
  it('in mid-stream is the last event', async () => {
    const lost = new DeviceLostError('device: lost');
    const { post, call, engine } = await serve({}, new ScriptedEngine());
    engine.script = { pieces: ['Hel'], error: lost };
    const events = await eventsOf(await post({ ...body, stream: true }));
    expect(JSON.parse(events.at(-1) ?? '')).toEqual({
      error: { message: 'device: lost', type: 'server_error', param: null, code: null },
    });
    expect((await call('/health')).status).toBe(503);
    engine.script = { pieces: ['Hello'] };
    expect((await post(body)).status).toBe(200);
    expect((await call('/health')).status).toBe(200);
  });

  it('cancels what a client no longer waits for', async () => {
    for (const stream of [true, false]) {
      const answered = vi.fn<(request: { isAborted: boolean }) => void>();
      const { post, engine } = await serve({ onAnswered: answered });
      engine.script = { pieces: ['Hel', new Promise(() => {})] };
      const client = new AbortController();
      const answer = post({ ...body, stream }, { signal: client.signal });
      if (stream) await (await answer).body?.getReader().read();
      else await vi.waitFor(() => expect(engine.requests).toHaveLength(1));
      client.abort();
      if (!stream) await expect(answer).rejects.toThrow();
      await vi.waitFor(() => expect(engine.cancelled).toBe(1));
      await vi.waitFor(() => expect(answered.mock.calls[0]?.[0].isAborted).toBe(true));
    }
  });

  it('answers 503 while the model is loaded', async () => {
    const server = await ApiServer.listen({
      model: 'm',
      host: '127.0.0.1',
      port: 0,
      corsOrigins: [],
    });
    servers.push(server);
    const answer = await fetch(server.url.replace('/v1', '/health'));
    expect(answer.headers.get('Retry-After')).toBe('5');
    expect(await errorOf(answer)).toMatchObject({ status: 503, code: 'model_loading' });
  });

  it('lets replies end when it closes, and cuts off those that do not', async () => {
    const { server, post, engine } = await serve();
    let speak: (text: string) => void = () => undefined;
    const piece = new Promise<string>((resolve) => (speak = resolve));
    engine.script = { pieces: ['Hel', piece] };
    const ending = await post({ ...body, stream: true });
    engine.script = { pieces: ['Hel', new Promise(() => {})] };
    const [endless, whole] = [await post({ ...body, stream: true }), post(body)];
    await vi.waitFor(() => expect(engine.requests).toHaveLength(3));
    const closed = server.close(50);
    await expect(post(body)).rejects.toThrow();
    speak('lo');
    expect((await eventsOf(ending)).at(-1)).toBe('[DONE]');
    const last = (await eventsOf(endless)).at(-1) ?? '';
    expect(JSON.parse(last)).toMatchObject({ error: { code: 'shutting_down' } });
    expect(await errorOf(await whole)).toMatchObject({ status: 503, code: 'shutting_down' });
    await closed;
  });
});

describe('fields', () => {
  it('passes what changes nothing', () => {
    const harmless = {
      tools: [],
      tool_choice: 'auto',
      response_format: { type: 'text' },
      modalities: ['text'],
      service_tier: 'auto',
      store: false,
      metadata: { a: 'b' },
      audio: null,
      suffix: null,
      best_of: 2,
      n: 2,
    };
    expect(chatParams({ messages: MESSAGES, ...harmless })).toEqual({ messages: MESSAGES, n: 2 });
  });

  it('knows that a developer is the system', () => {
    const { messages } = chatParams({ messages: [{ role: 'developer', content: 'Be kind.' }] });
    expect(messages).toEqual([{ role: 'system', content: 'Be kind.' }]);
  });

  it.each([{ best_of: 3 }, { suffix: 'end' }, { messages: [] }, { reasoning_effort: 'high' }])(
    'refuses %j in plain completions',
    (field) => {
      expect(() => completionParams({ prompt: 'x', ...field })).toThrow(Object.keys(field)[0]);
    },
  );
});
