import 'fake-indexeddb/auto';
import { IDBFactory } from 'fake-indexeddb';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Chat } from '../../../demo/state/chat.ts';
import { ConversationStore } from '../../../demo/state/conversation_store.ts';
import { pathOf } from '../../../demo/state/message_tree.ts';
import { ModelHost } from '../../../demo/state/model_host.ts';
import { ModelMemory } from '../../../demo/state/model_memory.ts';
import { DeviceLostError, DisposedError, Engine, RequestError } from '../../../src/index.ts';
import { type Script, ScriptedEngine } from './support/scripted_engine.ts';

const SURROUNDINGS = { hasWebGpu: true, isSecureContext: true, isOnline: true, userAgent: '' };
const load = vi.spyOn(Engine, 'load');
const stores: ConversationStore[] = [];
let store: ConversationStore;
let host: ModelHost;
let chat: Chat;
let frames: (() => void)[];

async function begin(...scripts: Script[]): Promise<ScriptedEngine> {
  const engine = new ScriptedEngine(...scripts);
  load.mockResolvedValueOnce(engine as unknown as Engine);
  await host.load({ kind: 'bundled' });
  return engine;
}

function openStore(): ConversationStore {
  const opened = new ConversationStore('chat-test');
  stores.push(opened);
  return opened;
}

const shown = (): string[] => chat.path.value.map(({ content }) => content);
const endings = (): unknown[] =>
  chat.path.value.map((message) => (message.role === 'user' ? 'user' : message.ending));
const idOf = (text: string): string => chat.path.value.find((m) => m.content === text)?.id ?? '';
const asked = ({ requests }: ScriptedEngine, i: number): unknown =>
  requests[i]?.messages.map(({ content }) => content);

beforeEach(() => {
  vi.stubGlobal('indexedDB', new IDBFactory());
  store = openStore();
  host = new ModelHost(new ModelMemory('chat-test-models'), () => SURROUNDINGS);
  frames = [];
  chat = new Chat({ store, host, nextFrame: (callback) => frames.push(callback) });
});
afterEach(async () => {
  load.mockReset();
  await Promise.all(stores.splice(0).map((opened) => opened.close()));
  vi.unstubAllGlobals();
});

describe('a conversation', () => {
  it('is sent whole with every message, and titled by the first', async () => {
    const engine = await begin({ pieces: ['He', 'llo.'] }, { pieces: ['Fine.'] });
    chat.setSystemPrompt('Be kind.');
    chat.setSettings({ temperature: 0.5, top_k: 3 });
    expect(store.list.value).toEqual([]);
    await chat.send('  hi\nthere');
    await chat.send('how are you?');
    expect(shown()).toEqual(['  hi\nthere', 'Hello.', 'how are you?', 'Fine.']);
    expect(endings()).toEqual(['user', 'complete', 'user', 'complete']);
    expect(chat.path.value[1]).toMatchObject({ model: 'TinyChat' });
    expect(asked(engine, 1)).toEqual(['Be kind.', '  hi\nthere', 'Hello.', 'how are you?']);
    expect(engine.requests[1]).toMatchObject({
      stream: true,
      context_overflow: 'truncate',
      temperature: 0.5,
      top_k: 3,
    });
    expect(store.list.value.map(({ title }) => title)).toEqual(['hi']);
    chat.rename(chat.conversation.value.id, 'Mine');
    await chat.edit(idOf('how are you?'), 'and you?');
    expect(store.list.value.map(({ title }) => title)).toEqual(['Mine']);
  });

  it('grows once a frame, apart from the list of messages', async () => {
    await begin({ pieces: ['Once', ' upon', ' a time'], hangs: true });
    const paths: unknown[] = [];
    const stopWatching = chat.path.subscribe((path) => paths.push(path));
    const sent = chat.send('story');
    await vi.waitFor(() => expect(frames.length).toBe(1));
    const seen = paths.length;
    await vi.waitFor(async () => {
      frames.splice(0).forEach((frame) => frame());
      expect(chat.replyText.value).toBe('Once upon a time');
    });
    expect(paths.length).toBe(seen);
    expect(chat.replying.value?.messageId).toBe(chat.path.value[1]?.id);
    chat.stop();
    await sent;
    expect(shown()).toEqual(['story', 'Once upon a time']);
    expect(endings()).toEqual(['user', 'stopped']);
    expect(chat.replying.value).toBeUndefined();
    stopWatching();
  });

  it('survives a crash in the middle of a reply', async () => {
    await begin({ pieces: ['Once', ' upon'], hangs: true });
    const sent = chat.send('story');
    await vi.waitFor(() => expect(frames.length).toBe(1));
    await store.flush();
    // Another page opens what this one, which does not get to end the reply, has written.
    const again = openStore();
    await again.ready;
    const [info] = again.list.value;
    const kept = await again.get(info?.id ?? '');
    const [question, reply] = kept === undefined ? [] : pathOf(kept);
    expect([question?.content, reply?.content]).toEqual(['story', 'Once upon']);
    expect(reply).not.toHaveProperty('ending');
    chat.stop();
    await sent;
  });

  it('gives back a message that got no reply', async () => {
    const error = new RequestError('too long', { param: 'prompt' });
    const engine = await begin({ error }, { hangs: true }, { pieces: ['Hm.'] });
    chat.draft.value = 'half';
    await chat.send('long');
    expect(chat.draft.value).toBe('long\nhalf');
    expect(chat.problem.value?.title).toContain('too long');
    expect([shown(), store.list.value]).toEqual([[], []]);
    const sent = chat.send('story');
    chat.stop();
    await sent;
    expect(chat.problem.value).toBeUndefined();
    expect(shown()).toEqual([]);
    await chat.send('short');
    expect(asked(engine, 2)).toEqual(['short']);
  });

  it('keeps what was said before a stop or an error', async () => {
    const engine = await begin(
      { pieces: ['Once'], hangs: true },
      { pieces: ['upon'], error: new Error('no') },
      {},
    );
    const story = chat.send('story');
    await vi.waitFor(() => expect(frames.length).toBe(1));
    chat.stop();
    await story;
    await chat.send('go on');
    expect(chat.problem.value?.detail).toContain('no');
    await chat.send('and then?');
    expect(chat.problem.value).toBeUndefined();
    expect(endings()).toEqual(['user', 'stopped', 'user', 'failed', 'user', 'complete']);
    expect(asked(engine, 2)).toEqual(['story', 'Once', 'go on', 'upon', 'and then?']);
  });

  it('notices when old messages were left out, and how full the context is', async () => {
    await begin(
      { tokens: [100, 50] },
      { tokens: [160, 200], finish: 'length' },
      { tokens: [300, 20] },
    );
    for (const message of ['a', 'b', 'c']) await chat.send(message);
    const shortened = chat.path.value.map((m) => m.role === 'assistant' && m.isShortened === true);
    expect(shortened).toEqual([false, false, false, false, false, true]);
    expect(endings()[3]).toBe('cut');
    expect(chat.contextUse.value).toEqual({ tokens: 320, contextLength: 512 });
    chat.newChat();
    expect(chat.contextUse.value).toBeUndefined();
  });

  it('takes one message at a time, and none without a model', async () => {
    await chat.send('nobody there');
    expect(chat.draft.value).toBe('nobody there');
    chat.draft.value = '';
    await begin({ hangs: true });
    expect(chat.canSend).toBe(true);
    const first = chat.send('a');
    expect(chat.canSend).toBe(false);
    await chat.send('b');
    expect(chat.draft.value).toBe('b');
    chat.stop();
    await first;
    expect(chat.draft.value).toBe('a\nb');
  });
});

describe('branches', () => {
  it('begin with an edited message and with another reply', async () => {
    const engine = await begin(
      { pieces: ['A1'] },
      { pieces: ['A2'] },
      { pieces: ['A3'] },
      { pieces: ['A4'] },
    );
    await chat.send('q1');
    await chat.send('q2');
    await chat.regenerate(idOf('A2'));
    expect(shown()).toEqual(['q1', 'A1', 'q2', 'A3']);
    expect(asked(engine, 2)).toEqual(['q1', 'A1', 'q2']);
    await chat.edit(idOf('q2'), 'q2 anew');
    expect(shown()).toEqual(['q1', 'A1', 'q2 anew', 'A4']);
    expect(asked(engine, 3)).toEqual(['q1', 'A1', 'q2 anew']);
    const { id, messages } = chat.conversation.value;
    chat.selectBranch(messages.find(({ content }) => content === 'A2')?.id ?? '');
    expect(shown()).toEqual(['q1', 'A1', 'q2', 'A2']);
    chat.newChat();
    expect(await chat.open(id)).toBe(true);
    expect(shown()).toEqual(['q1', 'A1', 'q2', 'A2']);
    chat.removeMessage(idOf('q2'));
    expect(shown()).toEqual(['q1', 'A1', 'q2 anew', 'A4']);
    expect((await store.get(id))?.messages).toHaveLength(4);
  });

  it('without a reply go again, or are not held against the next message', async () => {
    const error = new Error('no');
    const engine = await begin({ pieces: ['A1'] }, { error }, { error }, { pieces: ['A2'] });
    await chat.send('q1');
    await chat.regenerate(idOf('A1'));
    expect(shown()).toEqual(['q1', 'A1']);
    await chat.edit(idOf('q1'), 'other');
    expect(shown()).toEqual(['other', '']);
    expect(chat.draft.value).toBe('');
    await chat.send('next');
    expect(asked(engine, 3)).toEqual(['next']);
    expect(shown()).toEqual(['other', '', 'next', 'A2']);
  });
});

describe('several conversations', () => {
  it('go on while others are open', async () => {
    const engine = await begin({ pieces: ['Once'], hangs: true }, { pieces: ['Hello.'] });
    const story = chat.send('story');
    await vi.waitFor(() => expect(frames.length).toBe(1));
    const { id } = chat.conversation.value;
    chat.newChat();
    expect([shown(), chat.replying.value, chat.replyText.value]).toEqual([[], undefined, '']);
    await chat.send('hi');
    expect(asked(engine, 1)).toEqual(['hi']);
    expect([...chat.replyingIds.value]).toEqual([id]);
    expect(await chat.open(id)).toBe(true);
    frames.splice(0).forEach((frame) => frame());
    expect(chat.replyText.value).toBe('Once');
    chat.newChat();
    engine.requests[0]?.signal?.dispatchEvent(new Event('abort'));
    await story;
    // What failed out of sight is no problem of what is open.
    expect(chat.problem.value).toBeUndefined();
    await chat.open(id);
    expect(shown()).toEqual(['story', 'Once']);
  });

  it('are deleted with the reply under way', async () => {
    await begin({ pieces: ['Once'], hangs: true }, { pieces: ['Hello.'] });
    const story = chat.send('story');
    await vi.waitFor(() => expect(frames.length).toBe(1));
    const { id } = chat.conversation.value;
    chat.delete([id]);
    await story;
    expect(shown()).toEqual([]);
    expect(chat.draft.value).toBe('');
    expect(store.list.value).toEqual([]);
    expect(await chat.open(id)).toBe(false);
    store.restore([id]);
    expect(await chat.open(id)).toBe(true);
    expect(shown()).toEqual(['story', 'Once']);
  });

  it('follow what another tab does', async () => {
    await begin({ pieces: ['A1'] });
    await chat.send('q1');
    await store.flush();
    const other = openStore();
    await other.ready;
    const { id } = chat.conversation.value;
    const there = await other.get(id);
    if (there === undefined) throw new Error('the other tab does not see the conversation');
    const added = {
      id: 'x',
      parentId: there.headId,
      role: 'user',
      content: 'x',
      createdAt: 1,
    } as const;
    other.save({ ...there, messages: [...there.messages, added], headId: 'x' }, ['x']);
    await other.flush();
    await vi.waitFor(() => expect(shown()).toEqual(['q1', 'A1', 'x']));
    other.delete([id]);
    await vi.waitFor(() => expect(shown()).toEqual([]));
    expect(chat.conversation.value.id).not.toBe(id);
  });
});

describe('a model that goes', () => {
  it('is the problem of the page where the GPU is lost for good', async () => {
    const engine = await begin({ pieces: ['Once'], error: new DeviceLostError('gone') });
    await chat.send('story');
    expect(endings()).toEqual(['user', 'failed']);
    expect(chat.problem.value).toBeUndefined();
    expect(host.state.value).toMatchObject({
      kind: 'failed',
      problem: { title: 'The GPU was lost' },
    });
    await vi.waitFor(() => expect(engine.dispose).toHaveBeenCalledOnce());
    await begin({ pieces: ['Again.'] });
    await chat.send('and?');
    expect(shown()).toEqual(['story', 'Once', 'and?', 'Again.']);
  });

  it('is no problem where another one was chosen', async () => {
    await begin({ pieces: ['Once'], error: new DisposedError('disposed') });
    await chat.send('story');
    expect(endings()).toEqual(['user', 'stopped']);
    expect(chat.problem.value).toBeUndefined();
  });
});
