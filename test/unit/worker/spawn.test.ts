import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Engine } from '../../../src/load.ts';
import { NoWebGpuError, WorkerError } from '../../../src/util/errors.ts';
import { PROTOCOL_VERSION, type ModelMethods } from '../../../src/worker/protocol.ts';
import { Caller } from '../../../src/worker/rpc.ts';
import { serve } from '../../../src/worker/server.ts';
import { spawnSharedWorker, spawnWorker } from '../../../src/worker/spawn.ts';
import { fakePool, FakeWorker, until } from './fakes.ts';

vi.mock('../../../src/worker/spawn.ts');

const MODEL = 'https://models.test/tiny';

/** A worker whose end the test can see. */
class OwnWorker extends FakeWorker {
  terminate = vi.fn<() => void>();
}

/** A shared worker with its port to this page. */
function sharedWorker(pool: ReturnType<typeof fakePool>['pool']): SharedWorker {
  const { port1, port2 } = new MessageChannel();
  new FakeWorker(pool, true).postMessage(undefined, [port2]);
  return Object.assign(new EventTarget(), { port: port1, onerror: null });
}

describe('workers that the engine starts', () => {
  let own: ReturnType<typeof fakePool>;
  let worker: OwnWorker;
  beforeEach(() => {
    own = fakePool();
    worker = new OwnWorker(own.pool);
    vi.mocked(spawnWorker).mockReturnValue(worker.asWorker());
    vi.stubGlobal('SharedWorker', () => undefined);
    return () => vi.unstubAllGlobals();
  });

  async function loadOwn(option: true | 'shared') {
    const loading = Engine.load(MODEL, { worker: option });
    await until(() => own.loads.length === 1);
    own.loads[0]?.finish();
    return loading;
  }

  it('ends its own worker once the engine is freed there', async () => {
    const engine = await loadOwn(true);
    expect(worker.terminate).not.toHaveBeenCalled();
    await engine.dispose();
    expect(own.loads[0]?.model.disposals).toBe(1);
    expect(worker.terminate).toHaveBeenCalledOnce();
  });

  it('says what to do when the script cannot be had', async () => {
    worker.postMessage = () => queueMicrotask(() => worker.dispatchEvent(new Event('error')));
    await expect(Engine.load(MODEL, { worker: true })).rejects.toThrow(
      /^worker: its script could not be loaded; .*worker-src/,
    );
    expect(worker.terminate).toHaveBeenCalledOnce();
  });

  it('says what to do when it does not answer', async () => {
    vi.useFakeTimers();
    worker.postMessage = () => undefined;
    const failed = expect(Engine.load(MODEL, { worker: true })).rejects.toThrow(
      /^worker: no answer within 60 s/,
    );
    await vi.advanceTimersByTimeAsync(120_000);
    await failed;
    expect(worker.terminate).toHaveBeenCalledOnce();
    vi.useRealTimers();
  });

  it('runs in a worker of its own where shared ones are missing or have no WebGPU', async () => {
    const shared = fakePool();
    vi.mocked(spawnSharedWorker).mockReturnValue(sharedWorker(shared.pool));
    const loading = loadOwn('shared');
    await until(() => shared.loads.length === 1);
    shared.loads[0]?.fail(new NoWebGpuError('WebGPU: navigator.gpu is missing'));
    expect(await (await loading).stats()).toEqual({ recoveries: 3 });

    vi.stubGlobal('SharedWorker', undefined);
    Reflect.deleteProperty(globalThis, 'SharedWorker');
    own.loads.length = 0;
    expect(await (await loadOwn('shared')).stats()).toEqual({ recoveries: 3 });
    expect(shared.loads.length).toBe(1);
  });
});

describe('versions', () => {
  it('do not mix', async () => {
    const { port1, port2 } = new MessageChannel();
    const { pool } = fakePool();
    serve(port1, { isShared: false, pool, lock: Promise.resolve(undefined) });
    const calls = new Caller<ModelMethods>(port2);
    port2.start();
    expect(await calls.call('open', [PROTOCOL_VERSION, undefined])).toEqual({ lock: undefined });
    await expect(calls.call('open', [PROTOCOL_VERSION + 1, undefined])).rejects.toThrow(
      WorkerError,
    );
    port2.close();
  });

  it('are in the name of the shared worker, so that old and new tabs do not meet', () => {
    const file = new URL('../../../src/worker/spawn.ts', import.meta.url);
    expect(readFileSync(file, 'utf8')).toContain(`name: 'quern-${PROTOCOL_VERSION}'`);
  });
});
