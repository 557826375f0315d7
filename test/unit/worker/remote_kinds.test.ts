import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Encoder, Engine, Seq2Seq } from '../../../src/load.ts';
import {
  DeviceLostError,
  DisposedError,
  RequestError,
  WorkerError,
} from '../../../src/util/errors.ts';
import type { Kind } from '../../../src/worker/protocol.ts';
import { FakeLocks, FakeWorker, fakePool, until } from './fakes.ts';

const MODEL = 'https://models.test/tiny';
const KINDS = { engine: Engine, encoder: Encoder, seq2seq: Seq2Seq };

let locks: FakeLocks;
beforeEach(() => {
  locks = new FakeLocks();
  vi.stubGlobal('navigator', { locks });
});
afterEach(() => vi.unstubAllGlobals());

/** A model behind a port, and the fake it talks to. */
async function open<K extends Kind>(kind: K, options: object = {}) {
  const { pool, loads } = fakePool();
  const loader: { load: (typeof KINDS)[K]['load'] } = KINDS[kind];
  const loading = loader.load(MODEL, { worker: new FakeWorker(pool).asWorker(), ...options });
  await until(() => loads.length === 1);
  const load = loads[0] ?? expect.fail();
  load.finish();
  // Of the class that the kind's `load` gives.
  const remote = (await loading) as Awaited<ReturnType<(typeof KINDS)[K]['load']>>;
  return { remote, load, local: load.model };
}

/** One request of each kind. */
const ASK = {
  engine: async (signal?: AbortSignal) => {
    const { remote, ...rest } = await open('engine');
    const params = { prompt: '', ...(signal && { signal }) };
    return { remote, ...rest, answer: remote.completions.create(params) };
  },
  encoder: async (signal?: AbortSignal) => {
    const { remote, ...rest } = await open('encoder');
    return { remote, ...rest, answer: remote.encode('x', signal && { signal }) };
  },
  seq2seq: async (signal?: AbortSignal) => {
    const { remote, ...rest } = await open('seq2seq');
    return { remote, ...rest, answer: remote.generate('x', signal && { signal }) };
  },
};

describe.each(['engine', 'encoder', 'seq2seq'] as const)('%s behind a port', (kind) => {
  it('is loaded as what it is, and tells how', async () => {
    const phases: string[] = [];
    const events: unknown[] = [];
    const { remote, load } = await open(kind, {
      tokenBudget: 64,
      onProgress: ({ phase }: { phase: string }) => phases.push(phase),
      onRecovery: (event: unknown) => events.push(event),
    });
    expect(load).toMatchObject({ kind, from: MODEL, options: { tokenBudget: 64 } });
    expect(load.options).not.toHaveProperty('worker');
    expect(phases).toEqual(['files', 'ready']);
    load.options.onRecovery?.({ phase: 'lost', reason: 'test' });
    await until(() => events.length === 1);
    expect(await remote.tokenize('ü')).toEqual([252]);
    expect(await remote.detokenize([252])).toBe('ü');
    expect(await remote.stats()).toEqual({ recoveries: 3 });
  });

  it('aborts at once, there too, with the very reason', async () => {
    const abort = new AbortController();
    const reason = { mine: () => 'a reason of any kind' };
    const { local, answer } = await ASK[kind](abort.signal);
    await until(() => local.asked.length === 1);
    abort.abort(reason);
    await expect(answer).rejects.toBe(reason);
    await until(() => local.signals[0]?.aborted === true);
  });

  it('ends with its device, with dispose and with its worker', async () => {
    const lost = await ASK[kind]();
    await until(() => lost.local.streams.length === 1);
    lost.local.streams[0]?.fail(new DeviceLostError('device: lost', { reason: 'test' }));
    await expect(lost.answer).rejects.toThrow(DeviceLostError);

    const disposed = await ASK[kind]();
    const message = new DisposedError();
    const refused = expect(disposed.answer).rejects.toThrow(message);
    await disposed.remote.dispose();
    await refused;
    await expect(disposed.remote.stats()).rejects.toThrow(message);
    expect(disposed.local.disposals).toBe(1);

    const dead = await ASK[kind]();
    for (const name of locks.names) locks.crash(name);
    await expect(dead.answer).rejects.toThrow(WorkerError);
  });
});

describe('an encoder behind a port', () => {
  it('gives its vectors away instead of copying them', async () => {
    const { remote, local } = await open('encoder');
    const inputs = [{ text: 'a', pair: 'b' }, { ids: [1, 2] }];
    const options = { pooling: 'mean', outputs: new Proxy(['b'], {}) } as const;
    const encoding = remote.encode(inputs, options);
    await until(() => local.streams.length === 1);
    expect(local.asked).toEqual([{ inputs, pooling: 'mean', outputs: ['b'] }]);
    local.streams[0]?.push(0);
    const vector = Float32Array.of(1, 2);
    const data = Float32Array.of(3);
    const outputs = { vector: { data: vector, rows: 1, size: 2 }, b: { data, rows: 1, size: 1 } };
    expect(await encoding).toEqual([{ ids: [5], vector, outputs }]);
    const [{ vector: given, outputs: others }] = [local.encodings[0] ?? expect.fail()];
    expect([given?.byteLength, others['b']?.data.byteLength]).toEqual([0, 0]);
  });

  it('tells how far it is to those who ask, and ends if they fail', async () => {
    const { remote, local } = await open('encoder');
    const told: unknown[] = [];
    const encoding = remote.encode('x', { onProgress: (progress) => told.push(progress) });
    await until(() => told.length === 1);
    local.progress?.({ done: 1, total: 1 });
    local.streams[0]?.push(0);
    expect(await encoding).toMatchObject({ ids: [5] });
    expect(told).toEqual([
      { done: 0, total: 1 },
      { done: 1, total: 1 },
    ]);

    void remote.encode('x');
    await until(() => local.asked.length === 2);
    expect(local.progress).toBe(undefined);

    const mine = new Error('of the caller');
    const onProgress = () => {
      throw mine;
    };
    await expect(remote.encode('x', { onProgress })).rejects.toBe(mine);
    await until(() => local.signals[2]?.aborted === true);
  });

  it('has wrong options and inputs refused as in the page', async () => {
    const { remote } = await open('encoder');
    const odd = { onProgress: 5 as unknown as () => void };
    await expect(remote.encode('x', odd)).rejects.toThrow('request: onProgress is bad');
    const inputs = ['x', () => 1] as unknown as string[];
    await expect(remote.encode(inputs)).rejects.toThrow(/^request: inputs\[1\] is a function/);
    // The fake says of what is no options at all what JavaScript says.
    await expect(remote.encode('x', null as unknown as object)).rejects.toThrow(TypeError);
  });
});

describe('an encoder-decoder behind a port', () => {
  it('answers whole, streams, and is cancelled by leaving the loop', async () => {
    const { remote, local } = await open('seq2seq');
    const whole = remote.generate(['x', { ids: [1] }], { num_beams: 2 });
    await until(() => local.streams.length === 1);
    expect(local.asked).toEqual([{ inputs: ['x', { ids: [1] }], num_beams: 2 }]);
    local.streams[0]?.push([{ text: 'y' }]);
    expect(await whole).toEqual([{ text: 'y' }]);

    const stream = await remote.generate('x', { stream: true });
    local.streams[1]?.push({ index: 0, text: 'y' });
    for await (const chunk of stream) {
      expect(chunk).toEqual({ index: 0, text: 'y' });
      break;
    }
    await until(() => local.signals[1]?.aborted === true);
    const inputs = Symbol('x') as unknown as string;
    await expect(remote.generate(inputs)).rejects.toThrow(RequestError);
  });
});

it('pages share a model of one kind, not of several', async () => {
  const { pool, loads } = fakePool();
  const worker = new FakeWorker(pool, true).asWorker();
  const loading = [
    Engine.load(MODEL, { worker }),
    Encoder.load(MODEL, { worker }),
    Seq2Seq.load(MODEL, { worker }),
    Encoder.load(`${MODEL}/`, { worker }),
    Seq2Seq.load(MODEL, { worker }),
    Seq2Seq.load(MODEL, { worker, inputLength: 32 }),
  ];
  await until(() => loads.length === 4);
  expect(loads.map(({ kind }) => kind)).toEqual(['engine', 'encoder', 'seq2seq', 'seq2seq']);
  for (const load of loads) load.finish();
  const [engine, ...others] = await Promise.all(loading);
  await engine?.dispose();
  expect(loads.map(({ model }) => model.disposals)).toEqual([1, 0, 0, 0]);
  for (const other of others) await other.dispose();
  expect(loads.map(({ model }) => model.disposals)).toEqual([1, 1, 1, 1]);
});
