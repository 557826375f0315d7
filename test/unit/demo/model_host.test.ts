import 'fake-indexeddb/auto';
import { IDBFactory } from 'fake-indexeddb';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ModelHost } from '../../../demo/state/model_host.ts';
import { ModelMemory } from '../../../demo/state/model_memory.ts';
import type { ModelChoice } from '../../../demo/state/types.ts';
import {
  ConfigError,
  DownloadError,
  Engine,
  type LoadOptions,
  NoWebGpuError,
  WorkerError,
} from '../../../src/index.ts';
import { ScriptedEngine, STATS } from './support/scripted_engine.ts';

const SURROUNDINGS = { hasWebGpu: true, isSecureContext: true, isOnline: true, userAgent: '' };
const BUNDLED: ModelChoice = { kind: 'bundled' };
const HUB: ModelChoice = { kind: 'remote', location: 'owner/name' };
const load = vi.spyOn(Engine, 'load');
let host: ModelHost;

const engine = (): Engine => new ScriptedEngine() as unknown as Engine;
const optionsOf = (call: number): LoadOptions => load.mock.calls[call]?.[1] ?? {};
const problem = (): string => {
  const state = host.state.value;
  return state.kind === 'failed' ? state.problem.title : state.kind;
};

beforeEach(() => {
  vi.stubGlobal('indexedDB', new IDBFactory());
  host = new ModelHost(new ModelMemory(), () => SURROUNDINGS);
});
afterEach(() => {
  load.mockReset();
  vi.unstubAllGlobals();
});

function hang(_: unknown, options?: LoadOptions): Promise<Engine> {
  return new Promise((_, reject) => {
    const { signal } = options ?? {};
    signal?.addEventListener('abort', () => reject(signal.reason as Error));
    if (signal?.aborted === true) reject(signal.reason as Error);
  });
}

describe('loading', () => {
  it('frees the old model before the new one comes, and works in a worker', async () => {
    const old = new ScriptedEngine();
    load.mockResolvedValueOnce(old as unknown as Engine);
    await host.load(BUNDLED);
    load.mockImplementationOnce(async () => {
      expect(old.dispose).toHaveBeenCalledOnce();
      expect(host.engine).toBeUndefined();
      return engine();
    });
    await host.load(HUB);
    expect(host.state.value).toEqual({ kind: 'ready', choice: HUB, stats: STATS });
    expect(load.mock.calls.map(([from]) => from)).toEqual(['./weights/tinychat/', 'owner/name']);
    expect(optionsOf(1).worker).toBe(true);
  });

  it('tells progress with rate and time left', async () => {
    const now = vi.spyOn(performance, 'now');
    load.mockImplementationOnce(async (_, options) => {
      for (const second of [0, 1, 2]) {
        now.mockReturnValue(second * 1000);
        const file = 'model.safetensors';
        const bytes = { loadedBytes: second * 5e6, totalBytes: 20e6 };
        options?.onProgress?.({ phase: 'weights', file, ...bytes });
      }
      return hang(_, options);
    });
    const loaded = host.load(BUNDLED);
    await vi.waitFor(() => {
      expect(host.state.value).toMatchObject({
        kind: 'loading',
        progress: { loadedBytes: 10e6, bytesPerSecond: 5e6, secondsLeft: 2 },
      });
    });
    now.mockRestore();
    host.cancel();
    await loaded;
  });

  it('can be cancelled and repeated', async () => {
    load.mockImplementationOnce(hang);
    const loaded = host.load(HUB);
    await vi.waitFor(() => expect(load).toHaveBeenCalledOnce());
    host.cancel();
    await loaded;
    expect(problem()).toBe('Loading was cancelled');
    load.mockResolvedValueOnce(engine());
    await host.reload();
    expect(host.state.value).toMatchObject({ kind: 'ready', choice: HUB });
  });

  it('shows only the last of several', async () => {
    const seen: string[] = [];
    host.state.subscribe(({ kind }) => seen.push(kind));
    load.mockImplementation(async (from, options) => {
      options?.signal?.throwIfAborted();
      if (from === './bad/') throw new ConfigError('bad');
      return engine();
    });
    await Promise.all(
      ['./bad/', './a/', './b/'].map((location) => host.load({ kind: 'remote', location })),
    );
    expect(seen).toEqual(['none', 'loading', 'loading', 'loading', 'ready']);
    expect(host.state.value).toMatchObject({ choice: { location: './b/' } });
  });

  it('says why it failed', async () => {
    load.mockRejectedValueOnce(new ConfigError('"hidden_size" is missing'));
    await host.load({ kind: 'files', files: [new File([], 'config.json')] });
    expect(problem()).toMatch(/not a model/);
  });

  it('sends a token to the hub only, and forgets it with the page', async () => {
    load.mockImplementation(async () => engine());
    await host.load(HUB, 'hf_secret');
    await host.load({ kind: 'remote', location: 'https://a.example/m/' });
    await host.load(BUNDLED);
    await host.reload();
    await host.load(HUB);
    const sent = load.mock.calls.map(([, options]) => options?.http?.headers?.['Authorization']);
    expect(sent).toEqual(['Bearer hf_secret', undefined, undefined, undefined, 'Bearer hf_secret']);
    expect(JSON.stringify(await new ModelMemory().recall())).not.toContain('secret');
  });
});

describe('a worker that cannot', () => {
  it.each([new WorkerError('no'), new NoWebGpuError('none in workers')])(
    'is replaced by the page: %s',
    async (error) => {
      load.mockRejectedValueOnce(error).mockResolvedValueOnce(engine());
      await host.load(BUNDLED);
      expect(host.state.value.kind).toBe('ready');
      expect(optionsOf(1).worker).toBeUndefined();
    },
  );

  it('is not, where it died under the load or the page has no WebGPU either', async () => {
    load.mockImplementationOnce(async (_, options) => {
      options?.onProgress?.({ phase: 'weights', loadedBytes: 1, totalBytes: 2 });
      throw new WorkerError('out of memory');
    });
    await host.load(BUNDLED);
    expect(problem()).toMatch(/worker.*died/);
    host = new ModelHost(new ModelMemory(), () => ({ ...SURROUNDINGS, hasWebGpu: false }));
    load.mockRejectedValueOnce(new NoWebGpuError('none'));
    await host.load(BUNDLED);
    expect(problem()).toMatch(/WebGPU/);
    expect(load).toHaveBeenCalledTimes(2);
  });
});

describe('a lost GPU', () => {
  it('is shown while it is replaced', async () => {
    load.mockResolvedValueOnce(engine());
    await host.load(BUNDLED);
    const { onRecovery } = optionsOf(0);
    onRecovery?.({ phase: 'lost', reason: 'reset' });
    expect(host.state.value.kind).toBe('recovering');
    expect(host.engine).toBeDefined();
    onRecovery?.({ phase: 'recovered', reason: 'reset' });
    expect(host.state.value.kind).toBe('ready');
    onRecovery?.({ phase: 'lost', reason: 'reset' });
    onRecovery?.({ phase: 'failed', reason: 'three times in a minute' });
    expect(problem()).toBe('The GPU was lost');
    expect(host.engine).toBeUndefined();
  });
});

describe('the next visit', () => {
  it('loads the bundled model at first', async () => {
    load.mockResolvedValueOnce(engine());
    await host.start();
    expect(host.state.value).toMatchObject({ kind: 'ready', choice: BUNDLED });
    expect(host.recent.value).toEqual([]);
  });

  it('asks before it downloads what was used last', async () => {
    load.mockImplementation(async () => engine());
    await host.load(BUNDLED);
    await host.load(HUB);
    await host.load({ kind: 'files', files: [new File([], 'a')] });
    expect(host.recent.value).toEqual([HUB]);
    load.mockClear();
    host = new ModelHost(new ModelMemory(), () => SURROUNDINGS);
    await host.start();
    expect(problem()).toBe('Load owner/name again?');
    expect(load).not.toHaveBeenCalled();
    await host.reload();
    expect(host.state.value).toMatchObject({ kind: 'ready', choice: HUB });
  });

  it('asks again for the permission to read a folder', async () => {
    const handle = {
      kind: 'directory',
      name: 'llama',
      queryPermission: vi.fn(async () => 'prompt'),
      requestPermission: vi.fn(async () => 'denied'),
    };
    const choice = {
      kind: 'folder',
      handle: handle as unknown as FileSystemDirectoryHandle,
    } as const;
    const memory = new ModelMemory();
    vi.spyOn(memory, 'recall').mockResolvedValue([choice]);
    vi.spyOn(memory, 'remember').mockResolvedValue();
    host = new ModelHost(memory, () => SURROUNDINGS);
    await host.start();
    expect(handle.requestPermission).not.toHaveBeenCalled();
    expect(problem()).toContain('permission');
    await host.reload();
    expect(problem()).toContain('permission');
    handle.requestPermission.mockResolvedValue('granted');
    load.mockResolvedValueOnce(engine());
    await host.reload();
    expect(load.mock.lastCall?.[0]).toBe(handle);
    expect(host.state.value.kind).toBe('ready');
  });

  it('forgets where there is no IndexedDB', async () => {
    vi.stubGlobal('indexedDB', undefined);
    load.mockImplementation(async () => engine());
    await host.load(HUB);
    expect(host.state.value.kind).toBe('ready');
    expect(host.recent.value).toEqual([]);
  });
});

it('says that there is no network', async () => {
  host = new ModelHost(new ModelMemory(), () => ({ ...SURROUNDINGS, isOnline: false }));
  load.mockRejectedValueOnce(new DownloadError('https://a.example/config.json', 'failed'));
  await host.load(HUB);
  expect(problem()).toBe('You are offline');
});
