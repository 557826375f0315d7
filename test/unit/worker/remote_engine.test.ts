import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LoadProgress, RecoveryEvent } from '../../../src/engine/api.ts';
import { Engine } from '../../../src/load.ts';
import {
  DeviceLostError,
  DisposedError,
  RequestError,
  WorkerError,
} from '../../../src/util/errors.ts';
import { FakeLocks, FakeWorker, fakePool, until } from './fakes.ts';

const MODEL = 'https://models.test/tiny';
const MESSAGES = [{ role: 'user', content: 'Grüße 🌍' }] as const;

let locks: FakeLocks;
beforeEach(() => {
  locks = new FakeLocks();
  vi.stubGlobal('navigator', { locks });
});
afterEach(() => vi.unstubAllGlobals());

/** An engine behind a port, and the fake it talks to. */
async function open() {
  const { pool, loads } = fakePool();
  const worker = new FakeWorker(pool);
  const loading = Engine.load(MODEL, { worker: worker.asWorker() });
  await until(() => loads.length === 1);
  loads[0]?.finish();
  const remote = await loading;
  const local = loads[0]?.model;
  if (local === undefined) throw new Error('nothing was loaded');
  return { remote, local, worker, loads };
}

describe('an engine behind a port', () => {
  it('streams, and ends', async () => {
    const { remote, local } = await open();
    const params = { messages: MESSAGES, stream: true as const, max_tokens: 3 };
    const stream = await remote.chat.completions.create(params);
    expect(local.asked).toEqual([params]);
    const [there] = local.streams;
    there?.push({ text: 'Grüß' });
    expect(await stream.next()).toEqual({ done: false, value: { text: 'Grüß' } });
    const waiting = stream.next();
    there?.push({ text: ' dich 🌍' });
    expect(await waiting).toEqual({ done: false, value: { text: ' dich 🌍' } });
    there?.end();
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it('answers whole, and the small calls', async () => {
    const { remote, local } = await open();
    const reply = remote.completions.create({ prompt: 'x' });
    await until(() => local.streams.length === 1);
    local.streams[0]?.push({ id: 'cmpl-1' });
    expect(await reply).toEqual({ id: 'cmpl-1' });
    expect(await remote.tokenize('ü🌍')).toEqual([252, 127_757]);
    expect(await remote.detokenize([252, 127_757])).toBe('ü🌍');
    expect(await remote.stats()).toEqual({ recoveries: 3 });
  });

  it('gives the error of a call, and of a stream after its chunks', async () => {
    const { remote, local } = await open();
    const refused = remote.completions.create({ prompt: '', temperature: -1, stream: true });
    await expect(refused).rejects.toThrow(
      new RequestError('request: temperature is bad', { param: 'temperature' }),
    );
    const stream = await remote.completions.create({ prompt: '', stream: true });
    local.streams[0]?.push('a');
    local.streams[0]?.fail(new DeviceLostError('device: lost', { reason: 'test' }));
    expect(await stream.next()).toMatchObject({ value: 'a' });
    await expect(stream.next()).rejects.toMatchObject({ name: 'DeviceLostError', reason: 'test' });
    expect(await stream.next()).toMatchObject({ done: true });
  });

  it('aborts at once, there too, with the very reason', async () => {
    const { remote, local } = await open();
    const reason = { mine: () => 'a reason of any kind' };
    await expect(
      remote.completions.create({ prompt: '', signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
    expect(local.asked).toEqual([]);

    const abort = new AbortController();
    const { signal } = abort;
    const whole = remote.completions.create({ prompt: '', signal });
    const stream = await remote.completions.create({ prompt: '', stream: true, signal });
    local.streams[1]?.push('before');
    expect(await stream.next()).toMatchObject({ value: 'before' });
    abort.abort(reason);
    await expect(whole).rejects.toBe(reason);
    await expect(stream.next()).rejects.toBe(reason);
    await until(() => local.signals.every(({ aborted }) => aborted));
  });

  it('cancels the request when the loop is left', async () => {
    const { remote, local } = await open();
    const stream = await remote.completions.create({ prompt: '', stream: true });
    for (const text of 'abc') local.streams[0]?.push(text);
    for await (const chunk of stream) {
      expect(chunk).toBe('a');
      break;
    }
    await until(() => local.signals[0]?.aborted === true);
    expect(await stream.next()).toMatchObject({ done: true });

    const left = await remote.completions.create({ prompt: '', stream: true });
    const waiting = left.next();
    await left.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    await until(() => local.signals[1]?.aborted === true);
  });

  it('sends what a framework watches, and refuses functions by name', async () => {
    const { remote, local } = await open();
    const watched = new Proxy([{ role: 'user', content: 'hi' } as const], {});
    void remote.chat.completions.create({ messages: new Proxy(watched, {}), top_k: Number.NaN });
    await until(() => local.asked.length === 1);
    expect(local.asked).toEqual([{ messages: [{ role: 'user', content: 'hi' }], top_k: NaN }]);

    const tools = [{ run: () => 1 }];
    const refused = { messages: MESSAGES, chat_template_kwargs: { tools } };
    await expect(remote.chat.completions.create(refused)).rejects.toThrow(
      /^request: chat_template_kwargs\.tools\[0\]\.run is a function, expected data/,
    );
    await expect(remote.tokenize((() => 1) as unknown as string)).rejects.toThrow(RequestError);
    const odd = { prompt: '', temperature: 1, signal: 'no' as unknown as AbortSignal };
    await expect(remote.completions.create(odd)).rejects.toThrow(RequestError);
    expect(local.asked.length).toBe(1);
  });

  it('is over after dispose, with what it had open', async () => {
    const { remote, local } = await open();
    const stream = await remote.completions.create({ prompt: '', stream: true });
    const whole = remote.completions.create({ prompt: '' });
    await until(() => local.asked.length === 2);
    const disposal = remote.dispose();
    await expect(stream.next()).rejects.toThrow(DisposedError);
    await expect(whole).rejects.toThrow(DisposedError);
    await expect(remote.stats()).rejects.toThrow(DisposedError);
    await disposal;
    await remote.dispose();
    expect(local.disposals).toBe(1);
    expect(local.signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    await expect(remote.completions.create({ prompt: '' })).rejects.toThrow(DisposedError);
    await until(() => locks.names.length === 1); // the worker's own
  });
});

describe('loading over a port', () => {
  it('tells of progress and recoveries', async () => {
    const { pool, loads } = fakePool();
    const phases: LoadProgress['phase'][] = [];
    const events: RecoveryEvent[] = [];
    const loading = Engine.load(MODEL, {
      worker: new FakeWorker(pool).asWorker(),
      contextLength: 64,
      http: { headers: { Authorization: 'Bearer x' } },
      onProgress: ({ phase }) => phases.push(phase),
      onRecovery: (event) => events.push(event),
    });
    await until(() => loads.length === 1);
    const load = loads[0] ?? expect.fail();
    const { from, options } = load;
    expect(from).toBe(MODEL);
    expect(options).toMatchObject({
      contextLength: 64,
      http: { headers: { Authorization: 'Bearer x' } },
    });
    load.finish();
    await loading;
    expect(phases).toEqual(['files', 'ready']);
    options.onRecovery?.({ phase: 'lost', reason: 'test' });
    await until(() => events.length === 1);
    expect(events).toEqual([{ phase: 'lost', reason: 'test' }]);
  });

  it('fails as the load fails, and when a callback throws', async () => {
    const { pool, loads } = fakePool();
    const worker = new FakeWorker(pool).asWorker();
    const failing = Engine.load(MODEL, { worker });
    await until(() => loads.length === 1);
    loads[0]?.fail(new RequestError('load: no', { param: 'contextLength' }));
    await expect(failing).rejects.toMatchObject({ name: 'RequestError', param: 'contextLength' });

    const mine = new Error('of the caller');
    const onProgress = () => {
      throw mine;
    };
    await expect(Engine.load(MODEL, { worker, onProgress })).rejects.toBe(mine);
    await until(() => loads[1]?.options.signal?.aborted === true);
  });

  it('is aborted at once and frees what it had', async () => {
    const { pool, loads } = fakePool();
    const worker = new FakeWorker(pool).asWorker();
    const reason = new Error('changed my mind');
    await expect(Engine.load(MODEL, { worker, signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    );
    const abort = new AbortController();
    const loading = Engine.load(MODEL, { worker, signal: abort.signal });
    await until(() => loads.length === 1);
    abort.abort(reason);
    await expect(loading).rejects.toBe(reason);
    await until(() => loads[0]?.options.signal?.aborted === true);
  });

  it('refuses what cannot cross, and unknown workers', async () => {
    const worker = new FakeWorker(fakePool().pool).asWorker();
    const load = (options: object, from: unknown = MODEL) =>
      Engine.load(from as string, { worker, ...options });
    await expect(load({ gpu: {} })).rejects.toMatchObject({ param: 'gpu' });
    await expect(load({ http: { fetch } })).rejects.toMatchObject({ param: 'http.fetch' });
    await expect(load({ chatTemplate: () => '' })).rejects.toMatchObject({ param: 'chatTemplate' });
    await expect(load({}, 'not a model')).rejects.toThrow(RequestError);
    await expect(load({}, () => 1)).rejects.toThrow(RequestError);
    for (const odd of ['dedicated', 1, null, {}]) {
      await expect(load({ worker: odd })).rejects.toMatchObject({ param: 'worker' });
    }
    for (const name of ['signal', 'onProgress', 'onRecovery', 'http', 'without', 'chatTemplate']) {
      await expect(load({ [name]: 5 })).rejects.toMatchObject({ param: name });
    }
    await expect(Engine.load(MODEL, null as unknown as undefined)).rejects.toThrow(
      'load: options are null, expected an object',
    );
  });

  it('says so where there are no workers', async () => {
    await expect(Engine.load(MODEL, { worker: true })).rejects.toThrow(
      /^worker: it could not be started .*worker: false/,
    );
    await expect(Engine.load(MODEL, { worker: true })).rejects.toThrow(WorkerError);
  });

  it('reads a source of the page, aborts included', async () => {
    const { pool, loads } = fakePool();
    const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
    let aborted: unknown;
    const loading = Engine.load(
      {
        name: 'mine',
        async open(path) {
          if (path === 'denied') throw new TypeError('not yours');
          if (path !== 'a/b.json') return undefined;
          return {
            name: path,
            size: 100,
            async read(begin, end, signal) {
              if (begin === 99) {
                await new Promise((resolve) => signal?.addEventListener('abort', resolve));
                aborted = signal?.reason;
              }
              return bytes.subarray(begin, end);
            },
          };
        },
      },
      { worker: new FakeWorker(pool).asWorker() },
    );
    await until(() => loads.length === 1);
    const source = loads[0]?.from;
    if (typeof source !== 'object' || !('open' in source)) return expect.fail('not a source');
    expect(source.name).toBe('mine');
    expect('list' in source).toBe(false);
    expect(await source.open('missing')).toBe(undefined);
    await expect(source.open('denied')).rejects.toThrow(new TypeError('not yours'));
    const file = (await source.open('a/b.json')) ?? expect.fail();
    expect(file).toMatchObject({ name: 'a/b.json', size: 100 });
    expect(await file.read(10, 13)).toEqual(Uint8Array.of(10, 11, 12));
    expect(bytes.length).toBe(100); // a part was asked for: the whole is not given away
    const abort = new AbortController();
    const read = file.read(99, 100, abort.signal);
    abort.abort('enough');
    await expect(read).rejects.toBe('enough');
    await until(() => aborted !== undefined);
    loads[0]?.finish();
    await (await loading).dispose();
  });
});

describe('a worker or page that is gone', () => {
  it('fails everything when the worker ends or reports an error', async () => {
    const { remote } = await open();
    const stream = await remote.completions.create({ prompt: '', stream: true });
    const [workerLock] = locks.names; // taken before the page's
    locks.crash(workerLock);
    await expect(stream.next()).rejects.toThrow(WorkerError);
    await expect(remote.stats()).rejects.toThrow(WorkerError);
    await remote.dispose();
    await expect(remote.stats()).rejects.toThrow(DisposedError);
  });

  it('fails everything when an error goes uncaught in the worker', async () => {
    const { remote, worker } = await open();
    const waiting = remote.completions.create({ prompt: '' });
    worker.dispatchEvent(Object.assign(new Event('error'), { message: 'ReferenceError: x' }));
    await expect(waiting).rejects.toThrow(/^worker: .*ReferenceError: x/);
    await expect(remote.tokenize('')).rejects.toThrow(WorkerError);
  });

  it('frees what a page had when the page is gone', async () => {
    const { remote, local } = await open();
    const stream = await remote.completions.create({ prompt: '', stream: true });
    locks.crash(locks.names[1]);
    await until(() => local.disposals === 1);
    expect(local.signals[0]?.aborted).toBe(true);
    expect(stream).toBeDefined();
  });
});

describe('pages that share an engine', () => {
  function shared() {
    const { pool, loads } = fakePool();
    const worker = new FakeWorker(pool, true).asWorker();
    return {
      loads,
      load: (options: object = {}, from = MODEL) => Engine.load(from, { worker, ...options }),
    };
  }

  it('load it once, and keep it until the last one leaves', async () => {
    const { loads, load } = shared();
    const first = load({ http: { headers: { A: '1', B: '2' } } });
    await until(() => loads.length === 1);
    const phases: string[] = [];
    const onProgress = ({ phase }: LoadProgress) => phases.push(phase);
    const second = load({ http: { headers: { B: '2', A: '1' } }, onProgress }, `${MODEL}/`);
    await until(() => phases.length === 1);
    loads[0]?.finish();
    const engines = await Promise.all([first, second]);
    expect(phases).toEqual(['files', 'ready']);
    const late: string[] = [];
    const third = await load({
      http: { headers: { A: '1', B: '2' } },
      onProgress: ({ phase }: LoadProgress) => late.push(phase),
    });
    expect(late).toEqual(['ready']);
    expect(loads.length).toBe(1);
    const { model: engine } = loads[0] ?? expect.fail();

    const streams: AsyncIterableIterator<unknown>[] = [];
    for (const one of engines) {
      streams.push(await one.completions.create({ prompt: '', stream: true }));
    }
    await engines[0]?.dispose();
    await expect(streams[0]?.next()).rejects.toThrow(DisposedError);
    await until(() => engine.signals[0]?.aborted === true);
    engine.streams[1]?.push('on');
    expect(await streams[1]?.next()).toMatchObject({ value: 'on' });
    await third.dispose();
    expect(engine.disposals).toBe(0);
    expect(await engines[1]?.stats()).toEqual({ recoveries: 3 });
    await engines[1]?.dispose();
    expect(engine.disposals).toBe(1);
  });

  it('load others beside it', async () => {
    const { loads, load } = shared();
    const loading = [load(), load({ contextLength: 32 }), load({}, `${MODEL}2`)];
    const own = load({}, { name: 'mine', open: async () => undefined } as unknown as string);
    const again = load({}, { name: 'mine', open: async () => undefined } as unknown as string);
    await until(() => loads.length === 5);
    for (const one of loads) one.finish();
    await Promise.all([...loading, own, again]);
  });

  it('go on when another gives up waiting', async () => {
    const { loads, load } = shared();
    const abort = new AbortController();
    const given = load({ signal: abort.signal });
    const kept = load();
    await until(() => loads.length === 1);
    abort.abort();
    await expect(given).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
    const next = load();
    loads[0]?.finish();
    await Promise.all([kept, next]);
    expect(loads.length).toBe(1);
  });

  it('get a new one once it has failed', async () => {
    const { loads, load } = shared();
    const failing = load();
    await until(() => loads.length === 1);
    loads[0]?.fail(new DeviceLostError('lost while loading'));
    await expect(failing).rejects.toThrow(DeviceLostError);
    const loading = load();
    await until(() => loads.length === 2);
    loads[1]?.finish();
    const old = await loading;
    const stream = await old.completions.create({ prompt: '', stream: true });
    loads[1]?.model.streams[0]?.fail(new DeviceLostError('lost'));
    await expect(stream.next()).rejects.toThrow(DeviceLostError);
    void load();
    await until(() => loads.length === 3);
    loads[2]?.finish();
    loads[2]?.options.onRecovery?.({ phase: 'failed', reason: 'again' });
    void load();
    await until(() => loads.length === 4);
    loads[3]?.finish();
  });
});
