import type { LanguageModelV4CallOptions, LanguageModelV4StreamPart } from '@ai-sdk/provider';
import {
  AbstractChat,
  type ChatState,
  generateText,
  streamText,
  type UIMessage,
  UnsupportedFunctionalityError,
} from 'ai';
import { describe, expect, it, vi } from 'vitest';
import { quern, QuernChatTransport, type ReplyMetadata } from '../../../src/ai_sdk/provider.ts';
import { RequestError } from '../../../src/util/errors.ts';
import { ScriptedEngine } from '../../support/scripted_engine.ts';

const NEVER = new Promise<string>(() => {});
const call = (options: Partial<LanguageModelV4CallOptions> = {}): LanguageModelV4CallOptions => ({
  prompt: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
  ...options,
});

async function partsOf(
  engine: ScriptedEngine,
  options?: Partial<LanguageModelV4CallOptions>,
): Promise<readonly LanguageModelV4StreamPart[]> {
  const { stream } = await quern(engine).doStream(call(options));
  const parts: LanguageModelV4StreamPart[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

describe('generateText', () => {
  it('gives text, usage and reason', async () => {
    const engine = new ScriptedEngine({ pieces: ['Hello'], finishReason: 'length' });
    const result = await generateText({
      model: quern(Promise.resolve(engine), { modelId: 'tiny' }),
      instructions: 'Be kind.',
      messages: [
        { role: 'user', content: 'Hi' },
        {
          role: 'assistant',
          content: [
            { type: 'reasoning', text: 'Hm.' },
            { type: 'text', text: 'Hello' },
          ],
        },
        { role: 'user', content: [{ type: 'text', text: 'Again' }] },
      ],
      temperature: 0.5,
      topK: 3,
      topP: 0.9,
      maxOutputTokens: 5,
      seed: 7,
      stopSequences: ['.'],
      providerOptions: { quern: { min_p: 0.1 } },
    });
    expect(result).toMatchObject({ text: 'Hello', finishReason: 'length' });
    expect(result.usage).toMatchObject({
      inputTokens: 11,
      inputTokenDetails: { cacheReadTokens: 4, noCacheTokens: 7 },
      outputTokens: 3,
      totalTokens: 14,
    });
    expect(result.providerMetadata?.['quern']).toMatchObject({ timings: { total_ms: 40 } });
    expect(result.response).toMatchObject({ id: 'reply-1', modelId: 'scripted' });
    expect(engine.requests[0]).toMatchObject({
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: 'Hello' },
        { role: 'user', content: 'Again' },
      ],
      temperature: 0.5,
      top_k: 3,
      top_p: 0.9,
      max_tokens: 5,
      seed: 7,
      stop: ['.'],
      min_p: 0.1,
    });
  });

  it('throws what the engine throws, once', async () => {
    const engine = new ScriptedEngine({ pieces: [], refusal: new RequestError('request: no') });
    const reply = generateText({ model: quern(engine), prompt: 'Hi' });
    await expect(reply).rejects.toThrow(RequestError);
    expect(engine.requests).toHaveLength(1);
  });

  it('ends when aborted', async () => {
    const engine = new ScriptedEngine({ pieces: [NEVER] });
    const abortion = new AbortController();
    const reply = generateText({
      model: quern(engine),
      prompt: 'Hi',
      abortSignal: abortion.signal,
    });
    await vi.waitFor(() => expect(engine.requests).toHaveLength(1));
    const reason = new DOMException('enough', 'AbortError');
    abortion.abort(reason);
    await expect(reply).rejects.toBe(reason);
    expect(engine.cancelled).toBe(1);
  });
});

describe('streamText', () => {
  it('streams', async () => {
    const { textStream, finishReason, usage } = streamText({
      model: quern(new ScriptedEngine()),
      prompt: 'Hi',
    });
    const pieces: string[] = [];
    for await (const piece of textStream) pieces.push(piece);
    expect(pieces).toEqual(['Hel', 'lo', '.']);
    expect(await finishReason).toBe('stop');
    expect(await usage).toMatchObject({ totalTokens: 14 });
  });

  it('tells errors in mid-stream', async () => {
    const error = new Error('GPU on fire');
    const seen: unknown[] = [];
    const { fullStream } = streamText({
      model: quern(new ScriptedEngine({ pieces: ['Hel'], error })),
      prompt: 'Hi',
      onError: (event) => void seen.push(event.error),
    });
    const types: string[] = [];
    for await (const { type } of fullStream) types.push(type);
    expect(types).toEqual([
      'start',
      'start-step',
      'text-start',
      'text-delta',
      'error',
      'text-end',
      'finish-step',
      'finish',
    ]);
    expect(seen).toEqual([error]);
  });

  it('cancels the request when aborted', async () => {
    const engine = new ScriptedEngine({ pieces: ['Hel', NEVER] });
    const abortion = new AbortController();
    const { fullStream } = streamText({
      model: quern(engine),
      prompt: 'Hi',
      abortSignal: abortion.signal,
    });
    const types: string[] = [];
    for await (const { type } of fullStream) {
      types.push(type);
      if (type === 'text-delta') abortion.abort();
    }
    expect(types.at(-1)).toBe('abort');
    expect(engine.cancelled).toBe(1);
  });
});

describe('the language model', () => {
  it('sends its parts in order', async () => {
    const parts = await partsOf(new ScriptedEngine());
    expect(parts.map(({ type }) => type)).toEqual([
      'stream-start',
      'response-metadata',
      'text-start',
      'text-delta',
      'text-delta',
      'text-delta',
      'text-end',
      'finish',
    ]);
    expect(parts.at(-1)).toMatchObject({
      finishReason: { unified: 'stop', raw: 'stop' },
      usage: {
        inputTokens: { total: 11, noCache: 7, cacheRead: 4 },
        outputTokens: { total: 3, text: 3 },
      },
    });
    const raw = await partsOf(new ScriptedEngine(), { includeRawChunks: true });
    expect(raw[1]).toMatchObject({ type: 'raw', rawValue: { object: 'chat.completion.chunk' } });
  });

  it('leaves the engine alone when its stream is cancelled, begun or not', async () => {
    for (const reads of [0, 1, 4]) {
      const engine = new ScriptedEngine({ pieces: ['Hel', NEVER] });
      const { stream } = await quern(engine).doStream(call());
      const reader = stream.getReader();
      for (let i = 0; i < reads; i++) await reader.read();
      await reader.cancel();
      expect(engine.cancelled).toBe(1);
    }
  });

  it('warns of what changes nothing', async () => {
    const { warnings } = await quern(new ScriptedEngine()).doGenerate(
      call({
        tools: [{ type: 'function', name: 'f', inputSchema: {} }],
        toolChoice: { type: 'auto' },
        responseFormat: { type: 'json' },
        reasoning: 'high',
      }),
    );
    expect(warnings).toMatchObject(
      ['tools', 'responseFormat', 'reasoning'].map((feature) => ({
        type: 'unsupported',
        feature,
      })),
    );
  });

  it.each<Partial<LanguageModelV4CallOptions>>([
    { toolChoice: { type: 'required' } },
    { prompt: [{ role: 'tool', content: [] }] },
    {
      prompt: [
        {
          role: 'user',
          content: [{ type: 'file', mediaType: 'image/png', data: { type: 'data', data: '' } }],
        },
      ],
    },
    {
      prompt: [
        {
          role: 'assistant',
          content: [{ type: 'tool-call', toolCallId: '1', toolName: 'f', input: {} }],
        },
      ],
    },
  ])('refuses %j', async (options) => {
    const engine = new ScriptedEngine();
    for (const method of ['doGenerate', 'doStream'] as const) {
      const reply = quern(engine)[method](call(options));
      await expect(reply).rejects.toBeInstanceOf(UnsupportedFunctionalityError);
    }
    expect(engine.requests).toEqual([]);
  });

  it.each([{ minP: 1 }, { signal: {} }])('knows no option %j', async (quernOptions) => {
    const reply = quern(new ScriptedEngine()).doGenerate(
      call({ providerOptions: { quern: quernOptions } }),
    );
    await expect(reply).rejects.toThrow(`found ${Object.keys(quernOptions)[0]}, expected`);
  });
});

/** What `useChat` of the AI SDK is for every framework. */
class TestChat extends AbstractChat<UIMessage<ReplyMetadata>> {
  constructor(transport: QuernChatTransport) {
    const state: ChatState<UIMessage<ReplyMetadata>> = {
      status: 'ready',
      error: undefined,
      messages: [],
      pushMessage: (message) => void state.messages.push(message),
      popMessage: () => void state.messages.pop(),
      replaceMessage: (index, message) => void (state.messages[index] = message),
      snapshot: (thing) => structuredClone(thing),
    };
    super({ state, transport });
  }

  get texts(): readonly string[] {
    return this.messages.map(({ parts }) =>
      parts.map((part) => (part.type === 'text' ? part.text : '')).join(''),
    );
  }
}

describe('the chat transport', () => {
  it('replies, and replies anew', async () => {
    const engine = new ScriptedEngine();
    const chat = new TestChat(
      new QuernChatTransport(engine, { system: 'Be kind.', temperature: 0.5 }),
    );
    await chat.sendMessage({ text: 'Hi' });
    expect(chat.status).toBe('ready');
    expect(chat.texts).toEqual(['Hi', 'Hello.']);
    expect(chat.lastMessage).toMatchObject({
      role: 'assistant',
      metadata: { usage: { total_tokens: 14 } },
    });
    engine.script = { pieces: ['Other'] };
    await chat.regenerate();
    expect(chat.texts).toEqual(['Hi', 'Other']);
    await chat.sendMessage({ text: 'More' });
    expect(engine.requests.at(-1)).toMatchObject({
      temperature: 0.5,
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: 'Other' },
        { role: 'user', content: 'More' },
      ],
    });
    await chat.resumeStream();
    expect(chat.texts).toHaveLength(4);
  });

  it('keeps what was said when stopped', async () => {
    const engine = new ScriptedEngine({ pieces: ['Hel', NEVER] });
    const chat = new TestChat(new QuernChatTransport(engine));
    const reply = chat.sendMessage({ text: 'Hi' });
    await vi.waitFor(() => expect(chat.texts).toEqual(['Hi', 'Hel']));
    await chat.stop();
    await reply;
    expect(chat).toMatchObject({ status: 'ready', error: undefined });
    expect(chat.texts).toEqual(['Hi', 'Hel']);
    expect(engine.cancelled).toBe(1);
  });

  it('stops before the first word', async () => {
    const engine = new ScriptedEngine({ pieces: [NEVER] });
    const chat = new TestChat(new QuernChatTransport(engine));
    const reply = chat.sendMessage({ text: 'Hi' });
    await vi.waitFor(() => expect(engine.requests).toHaveLength(1));
    expect(chat.status).toBe('submitted');
    await chat.stop();
    await reply;
    engine.script = { pieces: ['Yes'] };
    await chat.sendMessage({ text: 'Well?' });
    expect(chat.texts).toEqual(['Hi', 'Well?', 'Yes']);
    // Templates that insist on turns would refuse two messages of one side.
    expect(engine.requests.at(-1)).toMatchObject({
      messages: [{ role: 'user', content: 'Hi\n\nWell?' }],
    });
  });

  it('stops while the model is being loaded', async () => {
    const loading = new Promise<never>(() => {});
    const chat = new TestChat(new QuernChatTransport(loading));
    const reply = chat.sendMessage({ text: 'Hi' });
    await chat.stop();
    await reply;
    expect(chat).toMatchObject({ status: 'ready', error: undefined });

    const abortSignal = AbortSignal.abort(new Error('enough'));
    for (const method of ['doGenerate', 'doStream'] as const) {
      await expect(quern(loading)[method](call({ abortSignal }))).rejects.toThrow('enough');
    }
  });

  it('tells errors as they are', async () => {
    const error = new Error('GPU on fire');
    const chat = new TestChat(new QuernChatTransport(new ScriptedEngine({ pieces: ['H'], error })));
    await chat.sendMessage({ text: 'Hi' });
    expect(chat.status).toBe('error');
    expect(chat.error).toBe(error);
    const files = [{ type: 'file', mediaType: 'image/png', url: 'data:,' }] as const;
    await chat.sendMessage({ text: 'Look', files: [...files] });
    expect(chat.error?.message).toContain('user part "file" is not supported');
  });
});
