import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { describe, expect, it, vi } from 'vitest';
import { Engine } from '../../../src/load.ts';
import { Chat } from '../../../src/react/chat.ts';
import { useChat } from '../../../src/react/use_chat.ts';
import { RequestError } from '../../../src/util/errors.ts';
import { ScriptedEngine } from '../../support/scripted_engine.ts';

const NEVER = new Promise<string>(() => {});

function chatWith(engine = new ScriptedEngine()) {
  const chat = new Chat();
  const statuses: string[] = [];
  chat.subscribe(() => {
    const { status } = chat.getSnapshot();
    if (status !== statuses.at(-1)) statuses.push(status);
  });
  return { chat, engine, statuses, detach: chat.attach(engine) };
}

const texts = (chat: Chat): readonly string[] =>
  chat.getSnapshot().messages.map(({ content }) => content);

/** Lets pending promises settle. */
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

describe('Chat', () => {
  it('streams a reply', async () => {
    const { chat, engine, statuses } = chatWith();
    chat.options = { system: 'Be kind.', temperature: 0.5 };
    await chat.sendMessage('Hi');
    expect(statuses).toEqual(['ready', 'submitted', 'streaming', 'ready']);
    const [question, reply] = chat.getSnapshot().messages;
    expect(question).toMatchObject({ role: 'user', content: 'Hi' });
    expect(reply).toMatchObject({
      role: 'assistant',
      content: 'Hello.',
      finishReason: 'stop',
      usage: { total_tokens: 14 },
    });
    expect(question?.id).not.toBe(reply?.id);
    expect(engine.requests[0]).toMatchObject({
      temperature: 0.5,
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'Hi' },
      ],
    });
    expect(engine.requests[0]).not.toHaveProperty('system');
  });

  it('keeps what was said when stopped, and goes on from there', async () => {
    const { chat, engine } = chatWith(new ScriptedEngine({ pieces: ['Hel', NEVER] }));
    const reply = chat.sendMessage('Hi');
    await vi.waitFor(() => expect(texts(chat)).toEqual(['Hi', 'Hel']));
    await expect(chat.sendMessage('Again')).rejects.toBeInstanceOf(RequestError);
    chat.stop();
    await reply;
    expect(chat.getSnapshot()).toMatchObject({ status: 'ready', error: undefined });
    expect(engine.cancelled).toBe(1);

    engine.script = { pieces: [NEVER] };
    const unanswered = chat.sendMessage('Hm?');
    await settled();
    chat.stop();
    expect(chat.getSnapshot().status).toBe('ready');
    engine.script = { pieces: ['Yes'] };
    await chat.sendMessage('Well?'); // at once
    await unanswered;
    expect(texts(chat)).toEqual(['Hi', 'Hel', 'Hm?', 'Well?', 'Yes']);
    expect(engine.requests.at(-1)).toMatchObject({
      messages: [{ content: 'Hi' }, { content: 'Hel' }, { role: 'user', content: 'Hm?\n\nWell?' }],
    });
  });

  it('regenerates the last reply, or an earlier one', async () => {
    const { chat, engine } = chatWith();
    await expect(chat.regenerate()).rejects.toThrow('no message to reply to');
    await chat.sendMessage('One');
    await chat.sendMessage('Two');
    engine.script = { pieces: ['Other'] };
    await chat.regenerate();
    expect(texts(chat)).toEqual(['One', 'Hello.', 'Two', 'Other']);
    await chat.regenerate(chat.getSnapshot().messages[1]?.id);
    expect(texts(chat)).toEqual(['One', 'Other']);
    await expect(chat.regenerate('no such id')).rejects.toBeInstanceOf(RequestError);
  });

  it('tells what went wrong, and tries again', async () => {
    const { chat, engine } = chatWith();
    const error = new Error('GPU on fire');
    engine.script = { pieces: ['Hel'], error };
    await chat.sendMessage('Hi');
    expect(chat.getSnapshot()).toMatchObject({ status: 'error', error, engine });
    expect(texts(chat)).toEqual(['Hi', 'Hel']);
    engine.script = { pieces: [], refusal: 'no error at all' };
    await chat.regenerate();
    expect(chat.getSnapshot().error?.message).toBe('no error at all');
    engine.script = { pieces: ['Hello'] };
    await chat.regenerate();
    expect(chat.getSnapshot()).toMatchObject({ status: 'ready', error: undefined });
  });

  it('forgets a reply when the conversation is replaced or the engine goes', async () => {
    const { chat, engine, detach } = chatWith(new ScriptedEngine({ pieces: ['Hel', NEVER] }));
    void chat.sendMessage('Hi');
    await vi.waitFor(() => expect(texts(chat)).toEqual(['Hi', 'Hel']));
    chat.setMessages([]);
    expect(chat.getSnapshot()).toMatchObject({ status: 'ready', messages: [] });
    void chat.sendMessage('Hi');
    await vi.waitFor(() => expect(texts(chat)).toEqual(['Hi', 'Hel']));
    detach();
    const after = chat.getSnapshot();
    expect(after).toMatchObject({ status: 'idle', engine: undefined });
    await settled();
    expect(chat.getSnapshot()).toBe(after);
    expect(engine.cancelled).toBe(2);
    expect(engine.isDisposed).toBe(false);
    await expect(chat.sendMessage('Hi')).rejects.toThrow('there is no model');
  });
});

describe('loading', () => {
  it('lets a message wait for the model, and disposes it in the end', async () => {
    const engine = new ScriptedEngine();
    let arrive: (engine: Engine) => void = () => undefined;
    const load = vi.spyOn(Engine, 'load').mockImplementation((_, options) => {
      options?.onProgress?.({ phase: 'weights', loadedBytes: 1, totalBytes: 2 });
      return new Promise((resolve) => (arrive = resolve));
    });
    const chat = new Chat();
    const unload = chat.load('owner/name', { contextLength: 64 });
    await settled();
    expect(chat.getSnapshot()).toMatchObject({ status: 'loading', progress: { loadedBytes: 1 } });
    expect(load.mock.calls[0]?.[1]).toMatchObject({ contextLength: 64 });
    const reply = chat.sendMessage('Hi');
    expect(texts(chat)).toEqual(['Hi']);
    expect(chat.getSnapshot().status).toBe('loading');
    arrive(engine);
    await reply;
    expect(texts(chat)).toEqual(['Hi', 'Hello.']);
    expect(chat.getSnapshot()).toMatchObject({ status: 'ready', progress: undefined, engine });
    unload();
    await settled();
    expect(engine.isDisposed).toBe(true);
    expect(chat.getSnapshot().status).toBe('idle');
    load.mockRestore();
  });

  it('loads nothing for a mount that is over at once, and one model after the other', async () => {
    const order: string[] = [];
    const load = vi.spyOn(Engine, 'load').mockImplementation(async (place) => {
      const from = JSON.stringify(place);
      order.push(`load ${from}`);
      const engine = new ScriptedEngine();
      engine.dispose = async () => void order.push(`dispose ${from}`);
      return engine;
    });
    const chat = new Chat();
    chat.load('a/a')();
    const unload = chat.load('b/b');
    await settled();
    unload();
    const last = chat.load('c/c');
    await settled();
    expect(order).toEqual(['load "b/b"', 'dispose "b/b"', 'load "c/c"']);
    last();
    await settled();
    expect(order.at(-1)).toBe('dispose "c/c"');
    load.mockRestore();
  });

  it('forgets a message that is stopped in the moment the model comes', async () => {
    const engine = new ScriptedEngine();
    const load = vi.spyOn(Engine, 'load').mockResolvedValue(engine);
    const chat = new Chat();
    chat.load('a/a');
    const reply = chat.sendMessage('Hi');
    chat.subscribe(() => {
      if (chat.getSnapshot().engine !== undefined) queueMicrotask(chat.stop);
    });
    await reply;
    expect(chat.getSnapshot().status).toBe('ready');
    expect(engine.requests).toEqual([]);
    load.mockRestore();
  });

  it('tells that a model cannot be loaded', async () => {
    const error = new Error('offline');
    const load = vi.spyOn(Engine, 'load').mockRejectedValueOnce(error);
    const chat = new Chat();
    const unload = chat.load('a/a');
    await chat.sendMessage('Hi');
    expect(chat.getSnapshot()).toMatchObject({ status: 'error', error, engine: undefined });
    expect(texts(chat)).toEqual(['Hi']);
    await expect(chat.regenerate()).rejects.toThrow('reload()');
    unload();
    load.mockResolvedValueOnce(new ScriptedEngine());
    chat.load('a/a');
    await chat.regenerate();
    expect(texts(chat)).toEqual(['Hi', 'Hello.']);
    load.mockRestore();
  });
});

describe('useChat', () => {
  it('renders on a server, where nothing is loaded', () => {
    const load = vi.spyOn(Engine, 'load');
    const View = () => {
      const { status, messages } = useChat({
        model: 'owner/name',
        initialMessages: [{ id: '1', role: 'user', content: 'Hi' }],
      });
      return createElement('p', null, status, messages[0]?.content);
    };
    expect(renderToString(createElement(View))).toBe('<p>loading<!-- -->Hi</p>');
    expect(load).not.toHaveBeenCalled();
    load.mockRestore();
  });
});
