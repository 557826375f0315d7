import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Ending, Session, type SessionView } from '../../../demo/session.ts';
import { type ChatCompletionParams, Engine, RequestError } from '../../../src/index.ts';

/** Writes down what is shown. */
class Notes implements SessionView {
  readonly lines: string[] = [];
  readonly endings: Ending[] = [];

  showLoading(): void {
    this.lines.push('loading');
  }
  showProgress(): void {}
  showReady(): void {
    this.lines.push('ready');
  }
  showLoadFailure(error: unknown, isCancelled: boolean): void {
    this.lines.push(`load failed: ${isCancelled ? 'cancelled' : String(error)}`);
  }
  showReplyFailure(error: unknown): void {
    this.lines.push(`reply failed: ${String(error)}`);
  }
  clearProblem(): void {}
  clearTurns(): void {
    this.lines.push('cleared');
  }
  showReplying(): void {}
  openTurn(message: string): ReturnType<SessionView['openTurn']> {
    this.lines.push(`> ${message}`);
    return {
      append: (piece) => this.lines.push(piece),
      finish: (ending) => {
        this.lines.push(ending.kind);
        this.endings.push(ending);
      },
      withdraw: () => this.lines.push('withdrawn'),
    };
  }
}

interface Script {
  readonly pieces?: readonly string[];
  readonly tokens?: readonly [prompt: number, reply: number];
  readonly finish?: 'stop' | 'length';
  /** Thrown after the pieces. */
  readonly error?: Error;
  /** Awaited after the pieces, until the request is aborted. */
  readonly hangs?: boolean;
}

/** An engine that says what the test tells it to, one script per request. */
class ScriptedEngine {
  readonly requests: ChatCompletionParams[] = [];
  readonly scripts: Script[];
  readonly dispose = vi.fn(async () => {});
  readonly stats = (): object => ({});
  readonly chat = {
    completions: { create: (params: ChatCompletionParams) => this.#create(params) },
  };

  constructor(...scripts: Script[]) {
    this.scripts = scripts;
  }

  async #create(params: ChatCompletionParams): Promise<AsyncIterable<unknown>> {
    this.requests.push({ ...params, messages: [...params.messages] });
    return play(this.scripts.shift() ?? {}, params.signal);
  }
}

async function* play(script: Script, signal: AbortSignal | undefined): AsyncGenerator {
  const { pieces = [], tokens = [1, 1], finish = 'stop', error, hangs } = script;
  for (const content of pieces) yield { choices: [{ delta: { content }, finish_reason: null }] };
  if (hangs === true) {
    await new Promise((_, reject) => {
      const end = (): void => reject(signal?.reason as Error);
      signal?.addEventListener('abort', end);
      if (signal?.aborted === true) end();
    });
  }
  if (error !== undefined) throw error;
  yield {
    choices: [{ delta: {}, finish_reason: finish }],
    usage: {
      prompt_tokens: tokens[0],
      completion_tokens: tokens[1],
      total_tokens: tokens[0] + tokens[1],
    },
  };
}

const load = vi.spyOn(Engine, 'load');
let notes: Notes;
let session: Session;

async function begin(...scripts: Script[]): Promise<ScriptedEngine> {
  const engine = new ScriptedEngine(...scripts);
  load.mockResolvedValueOnce(engine as unknown as Engine);
  await session.load('./model/');
  notes.lines.length = 0;
  return engine;
}

beforeEach(() => {
  notes = new Notes();
  session = new Session(notes);
});
afterEach(() => load.mockReset());

describe('a conversation', () => {
  it('is sent whole with every message', async () => {
    const engine = await begin({ pieces: ['He', 'llo.'] }, { pieces: ['Fine.'] });
    await session.send('hi');
    await session.send('how are you?');
    expect(notes.lines).toEqual([
      '> hi',
      'He',
      'llo.',
      'complete',
      '> how are you?',
      'Fine.',
      'complete',
    ]);
    expect(engine.requests[1]?.messages).toEqual([
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: 'Hello.' },
      { role: 'user', content: 'how are you?' },
    ]);
  });

  it('takes back a message that got no reply', async () => {
    const error = new RequestError('too long', { param: 'prompt' });
    const engine = await begin({ error }, {});
    await session.send('long');
    expect(notes.lines).toEqual(['> long', 'withdrawn', `reply failed: ${String(error)}`]);
    await session.send('short');
    expect(engine.requests[1]?.messages).toEqual([{ role: 'user', content: 'short' }]);
  });

  it('keeps what was said before a stop or an error', async () => {
    const engine = await begin(
      { pieces: ['Once'], hangs: true },
      { pieces: ['upon'], error: new Error('no') },
      {},
    );
    const story = session.send('story');
    await vi.waitFor(() => expect(notes.lines).toContain('Once'));
    session.stop();
    await story;
    await session.send('go on');
    await session.send('and then?');
    expect(notes.endings.map(({ kind }) => kind)).toEqual(['stopped', 'failed', 'complete']);
    expect(engine.requests[2]?.messages.map(({ content }) => content)).toEqual([
      'story',
      'Once',
      'go on',
      'upon',
      'and then?',
    ]);
  });

  it('begins anew while a reply runs', async () => {
    const engine = await begin({ hangs: true }, { pieces: ['Hello.'] });
    const first = session.send('story');
    session.newChat();
    await session.send('hi');
    await first;
    expect(notes.lines).toEqual(['> story', 'cleared', '> hi', 'Hello.', 'complete']);
    expect(engine.requests[1]?.messages).toEqual([{ role: 'user', content: 'hi' }]);
  });

  it('notices when old messages were left out, and from then on', async () => {
    const engine = await begin(
      { tokens: [100, 50] },
      { tokens: [160, 200] },
      { tokens: [300, 20], finish: 'length' },
      { tokens: [330, 20] },
      { tokens: [10, 10] },
    );
    for (const message of ['a', 'b', 'c', 'd']) await session.send(message);
    session.newChat();
    await session.send('e');
    const seen = notes.endings.map((ending) => ending.kind === 'complete' && ending.isShortened);
    expect(seen).toEqual([false, false, true, true, false]);
    expect(notes.endings[2]).toMatchObject({ isCut: true });
    expect(engine.requests[0]).toMatchObject({ stream: true, context_overflow: 'truncate' });
  });

  it('answers one message at a time', async () => {
    await begin({ hangs: true });
    const first = session.send('a');
    await session.send('b');
    session.stop();
    await first;
    expect(notes.lines).toEqual(['> a', 'withdrawn']);
    expect(session.isIdle).toBe(true);
  });
});

describe('loading', () => {
  it('frees the old model before the new one comes', async () => {
    const old = await begin();
    load.mockImplementationOnce(async () => {
      expect(old.dispose).toHaveBeenCalledOnce();
      return new ScriptedEngine() as unknown as Engine;
    });
    await session.load('./other/');
    expect(notes.lines).toEqual(['loading', 'ready']);
  });

  it('can be cancelled and repeated', async () => {
    load.mockImplementationOnce(
      (_, options) =>
        new Promise((_, reject) => {
          options?.signal?.addEventListener('abort', () => reject(options.signal?.reason as Error));
        }),
    );
    const loaded = session.load('./model/');
    await vi.waitFor(() => expect(load).toHaveBeenCalledOnce());
    session.cancelLoad();
    await loaded;
    await session.send('nobody there');
    load.mockResolvedValueOnce(new ScriptedEngine() as unknown as Engine);
    await session.reload();
    expect(notes.lines).toEqual(['loading', 'load failed: cancelled', 'loading', 'ready']);
    expect(load.mock.lastCall?.[0]).toBe('./model/');
  });

  it('shows only the last of several', async () => {
    load.mockImplementation(async (place, options) => {
      options?.signal?.throwIfAborted();
      if (place === './bad/') throw new Error('bad');
      return new ScriptedEngine() as unknown as Engine;
    });
    await Promise.all([session.load('./bad/'), session.load('./a/'), session.load('./b/')]);
    expect(notes.lines).toEqual(['loading', 'loading', 'loading', 'ready']);
  });
});
