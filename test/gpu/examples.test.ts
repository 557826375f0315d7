import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { generateText, streamText, type UIMessage } from 'ai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { quern, QuernChatTransport } from '../../src/ai_sdk/provider.ts';
import { Engine } from '../../src/index.ts';
import { openDirectory } from '../../src/node/index.ts';
import { openTestGpu, TEST_ADAPTERS } from '../support/adapters.ts';
import { CHAT_MODEL } from '../support/model_files.ts';

/** These are the same on every adapter: one is enough. */
const [adapter = 'default'] = TEST_ADAPTERS;
let gpu: GPU | string;
beforeAll(async () => {
  gpu = await openTestGpu(adapter);
});
beforeEach((context) => {
  if (typeof gpu === 'string') context.skip(gpu);
});

/** What `npm run example` prints. */
async function example(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ['scripts/example.js', ...args]);
  return stdout;
}

describe('npm run example', () => {
  it('node', async () => {
    expect(await example('node', 'Hello!')).toMatch(/[a-z]{3}.*\n$/);
  });

  it('serve', async () => {
    expect(await example('serve', 'Hello!')).toMatch(/[a-z]{3}.*\n\(\d+ tokens\)\n$/);
  });

  it('says which there are', async () => {
    await expect(example('nonsense')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"nonsense", expected one of: minimal, worker') as string,
    });
  });
});

describe('the AI SDK with a model', () => {
  const settings = { prompt: 'Hello, who are you?', temperature: 0, maxOutputTokens: 8 };
  let engine: Engine;
  beforeAll(async () => {
    if (typeof gpu === 'string') return;
    engine = await Engine.load(openDirectory(CHAT_MODEL), { gpu });
  });
  afterAll(() => engine?.dispose());

  it('streams what it generates at once', async () => {
    const { text, usage, finishReason } = await generateText({ model: quern(engine), ...settings });
    expect(text).toMatch(/[a-z]{3}/);
    expect(finishReason).toBe('length');
    expect(usage).toMatchObject({ outputTokens: 8 });
    const pieces: string[] = [];
    for await (const piece of streamText({ model: quern(engine), ...settings }).textStream) {
      pieces.push(piece);
    }
    expect(pieces.length).toBeGreaterThan(2);
    expect(pieces.join('')).toBe(text);
  });

  it('chats through the transport, and stops', async () => {
    const transport = new QuernChatTransport<UIMessage>(engine, { ignore_eos: true });
    const message: UIMessage = {
      id: '1',
      role: 'user',
      parts: [{ type: 'text', text: settings.prompt }],
    };
    const abortion = new AbortController();
    const stream = await transport.sendMessages({
      trigger: 'submit-message',
      chatId: '1',
      messageId: undefined,
      messages: [message],
      abortSignal: abortion.signal,
    });
    const types: string[] = [];
    for await (const { type } of stream) {
      types.push(type);
      if (type === 'text-delta') abortion.abort();
    }
    expect(types.slice(0, 4)).toEqual(['start', 'start-step', 'text-start', 'text-delta']);
    expect(types.slice(-2)).toEqual(['text-end', 'abort']);
    expect((await engine.stats()).requests).toEqual({ running: 0, waiting: 0 });
  });
});
