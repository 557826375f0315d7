import { basename } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { main } from '../../src/cli/main.ts';
import { Interrupted } from '../../src/cli/terminal.ts';
import { openTestGpu, TEST_ADAPTERS } from '../support/adapters.ts';
import { CHAT_MODEL } from '../support/model_files.ts';
import { fakeTerminal } from '../unit/cli/fake_terminal.ts';

/** HTTP is the same on every adapter: one is enough. */
const [adapter = 'default'] = TEST_ADAPTERS;
/** The name of its folder. */
const MODEL = basename(CHAT_MODEL);
const SERVE = ['serve', CHAT_MODEL, '--port', '0', '--adapter', adapter, '--api-key', 'secret'];
const ask: OpenAI.ChatCompletionCreateParamsNonStreaming = {
  model: MODEL,
  messages: [{ role: 'user', content: 'Hello! Who are you, and what do you like to do all day?' }],
  temperature: 0,
  max_tokens: 8,
};

describe('quern serve, asked by the client of OpenAI', () => {
  const interrupt = new AbortController();
  const terminal = fakeTerminal('', interrupt.signal);
  let missing: string | undefined;
  let exitCode: Promise<number>;
  let openai: OpenAI;
  beforeAll(async () => {
    const gpu = await openTestGpu(adapter);
    if (typeof gpu === 'string') {
      missing = gpu;
      return;
    }
    exitCode = main(SERVE, terminal);
    await vi.waitFor(() => expect(terminal.written.out, terminal.written.err).toMatch(/\n$/), {
      timeout: 60_000,
      interval: 100,
    });
    const baseURL = terminal.written.out.trim();
    openai = new OpenAI({ baseURL, apiKey: 'secret', maxRetries: 0 });
  });
  beforeEach((context) => {
    if (missing !== undefined) context.skip(missing);
  });
  afterAll(async () => {
    if (missing !== undefined) return;
    // A reply that runs when the user presses Ctrl-C is completed.
    const reply = openai.chat.completions.create({ ...ask, max_tokens: 30 });
    await vi.waitFor(async () => {
      const health = await fetch(`${openai.baseURL}/../../health`);
      expect(await health.json()).toMatchObject({ running: 1 });
    });
    interrupt.abort(new Interrupted('interrupted', 130));
    expect((await reply).choices[0]?.finish_reason).toMatch(/stop|length/);
    expect(await exitCode).toBe(0);
    expect(terminal.written.err).toMatch(/POST \/v1\/chat\/completions 200, [\d.]+ ms\n/);
  });

  it('lists its model', async () => {
    const { data } = await openai.models.list();
    expect(data.map(({ id }) => id)).toEqual([MODEL]);
    expect(await openai.models.retrieve(MODEL)).toEqual(data[0]);
  });

  it('streams what it says at once', async () => {
    const whole = await openai.chat.completions.create(ask);
    expect(whole).toMatchObject({ object: 'chat.completion', model: MODEL });
    expect(whole.usage?.completion_tokens).toBeGreaterThan(1);

    const stream = await openai.chat.completions.create({
      ...ask,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const texts = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta.content ?? ''));
    expect(texts.join('')).toBe(whole.choices[0]?.message.content);
    expect(texts.filter((text) => text !== '').length).toBeGreaterThan(2);
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: { total_tokens: whole.usage?.total_tokens },
    });
    // The prefix of the same conversation was kept.
    expect(chunks.at(-1)?.usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThan(0);
  });

  it("gives several choices, the same for the same seed, also to the client's stream helper", async () => {
    const { model, messages } = ask;
    const params = { model, messages, n: 2, temperature: 1, seed: 7, max_tokens: 8 };
    const whole = await openai.chat.completions.create({
      ...params,
      logprobs: true,
      top_logprobs: 2,
    });
    const streamed = await openai.chat.completions.stream(params).finalChatCompletion();
    const texts = [whole, streamed].map(({ choices }) => choices.map((c) => c.message.content));
    expect(texts[0]).toHaveLength(2);
    expect(texts[1]).toEqual(texts[0]);
    const [token] = whole.choices[0]?.logprobs?.content ?? [];
    expect(token?.top_logprobs).toHaveLength(2);
    expect(token?.logprob).toBeLessThanOrEqual(0);
  });

  it('continues texts', async () => {
    const params = { model: MODEL, temperature: 0, max_tokens: 6 };
    const { choices } = await openai.completions.create({
      ...params,
      prompt: ['Once upon', 'The cat'],
      echo: true,
      logprobs: 1,
    });
    expect(choices.map(({ text }) => text.slice(0, 7))).toEqual(['Once up', 'The cat']);
    expect(choices[0]?.logprobs?.tokens).toHaveLength(6);
    let streamed = '';
    for await (const chunk of await openai.completions.create({
      ...params,
      prompt: 'Once upon',
      stream: true,
    })) {
      streamed += chunk.choices[0]?.text ?? '';
    }
    expect(`Once upon${streamed}`).toBe(choices[0]?.text);
  });

  it('answers many at once as one by one', async () => {
    const prompts = ['Hello!', 'Tell me a story.', 'Goodbye!'];
    const answer = async (content: string) => {
      const reply = await openai.chat.completions.create({
        ...ask,
        messages: [{ role: 'user', content }],
      });
      return reply.choices[0]?.message.content;
    };
    const together = await Promise.all(prompts.map(answer));
    for (const [i, prompt] of prompts.entries()) expect(await answer(prompt)).toBe(together[i]);
  });

  it('stops when the client does', async () => {
    const endless = { ...ask, max_tokens: null, ignore_eos: true };
    const stream = await openai.chat.completions.create({ ...endless, stream: true });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta.content) break;
    }
    const client = new AbortController();
    const waiting = openai.chat.completions.create(endless, { signal: client.signal });
    client.abort();
    await expect(waiting).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
    await vi.waitFor(async () => {
      const health = await fetch(`${openai.baseURL}/../../health`);
      expect(await health.json()).toEqual({ status: 'ok', running: 0, waiting: 0 });
    });
  });

  it("throws the client's own errors", async () => {
    const create = (change: object) => openai.chat.completions.create({ ...ask, ...change });
    await expect(create({ top_p: 7 })).rejects.toMatchObject({
      status: 400,
      param: 'top_p',
      type: 'invalid_request_error',
    });
    await expect(create({ top_p: 7 })).rejects.toBeInstanceOf(OpenAI.BadRequestError);
    await expect(create({ messages: [] })).rejects.toMatchObject({ param: 'messages' });
    await expect(create({ stop: ['a', ''] })).rejects.toMatchObject({ param: 'stop' });
    await expect(create({ tools: [{ type: 'function' }] })).rejects.toMatchObject({
      param: 'tools',
    });
    const image = { type: 'image_url', image_url: { url: 'data:,' } };
    await expect(create({ messages: [{ role: 'user', content: [image] }] })).rejects.toMatchObject({
      status: 400,
      param: 'messages',
    });
    await expect(
      create({ messages: [{ role: 'user', content: 'long '.repeat(2000) }] }),
    ).rejects.toMatchObject({ status: 400 });
    await expect(create({ model: 'other' })).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    const stranger = new OpenAI({ baseURL: openai.baseURL, apiKey: 'guess', maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
  });

  it('says at once that its port is taken', async () => {
    const { port } = new URL(openai.baseURL);
    const other = fakeTerminal();
    expect(await main(['serve', CHAT_MODEL, '--port', port], other)).toBe(2);
    expect(other.written.err).toContain(`port ${port} is already in use; choose another --port`);
  });
});
