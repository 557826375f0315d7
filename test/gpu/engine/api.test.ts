/** Requests and replies in OpenAI's shapes, on the bundled model. They are the same on every adapter: one is enough. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ChatCompletionParams, CompletionParams } from '../../../src/engine/openai.ts';
import { Engine } from '../../../src/index.ts';
import { openDirectory } from '../../../src/node/directory.ts';
import { ONE_ADAPTER } from '../../support/adapters.ts';
import { CHAT_MODEL } from '../../support/model_files.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';

const CONTEXT = 256;
const QUESTION = [{ role: 'user', content: 'What is the capital of France?' }];
const ANSWER = 'The capital of France is Paris.';
const STORY =
  'Once upon a time, there was a little frog named Bob. Bob loved to play with his friends.';

describeOnGpus(
  'the engine',
  (gpu) => {
    let engine: Engine;
    beforeAll(async () => {
      const limits = { contextLength: CONTEXT, tokenBudget: 64, maxSequences: 4 };
      engine = await Engine.load(openDirectory(CHAT_MODEL), {
        gpu: gpu(),
        selfTest: 'never',
        ...limits,
      });
    });
    afterEach(async () => {
      const { kvCache, requests } = await engine.stats();
      expect({ usedPages: kvCache.usedPages, ...requests }).toEqual({
        usedPages: 0,
        running: 0,
        waiting: 0,
      });
    });
    afterAll(() => engine?.dispose());

    const ask = (params: Partial<ChatCompletionParams> = {}) =>
      engine.chat.completions.create({
        messages: QUESTION,
        temperature: 0,
        max_tokens: 12,
        ...params,
        stream: false,
      });
    const complete = (params: Partial<CompletionParams> = {}) =>
      engine.completions.create({
        prompt: STORY,
        temperature: 0,
        max_tokens: 6,
        ...params,
        stream: false,
      });
    const textOf = async (params?: Partial<CompletionParams>) =>
      (await complete(params)).choices[0]?.text;

    /** Streams a chat; the text of each choice, put together, and all chunks. */
    const streamed = async (params: Partial<ChatCompletionParams> = {}) => {
      const chunks = [];
      const texts: string[] = [];
      const options = { messages: QUESTION, temperature: 0, max_tokens: 12, ...params };
      for await (const chunk of await engine.chat.completions.create({
        ...options,
        stream: true,
      })) {
        chunks.push(chunk);
        for (const { index, delta } of chunk.choices) {
          texts[index] = (texts[index] ?? '') + (delta.content ?? '');
        }
      }
      return { chunks, texts };
    };

    describe('chat', () => {
      it('says the same streamed and at once', async () => {
        const whole = await ask();
        const { chunks, texts } = await streamed();
        expect(whole).toMatchObject({
          object: 'chat.completion',
          model: CHAT_MODEL,
          choices: [
            {
              index: 0,
              message: { role: 'assistant', content: ANSWER },
              finish_reason: 'stop',
              logprobs: null,
            },
          ],
        });
        expect(whole.id).toMatch(/^chatcmpl-\w+$/);
        expect(Math.abs(whole.created - Date.now() / 1000)).toBeLessThan(60);
        expect(texts).toEqual([ANSWER]);
        expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
        expect(chunks[0]?.choices[0]?.delta.role).toBe('assistant');
        for (const { choices } of chunks.slice(1)) {
          expect(choices[0]?.delta).not.toHaveProperty('role');
        }
        const reasons = chunks.map(({ choices }) => choices[0]?.finish_reason);
        expect(reasons).toEqual([...chunks.slice(1).map(() => null), 'stop']);
        expect(chunks.at(-1)?.usage?.completion_tokens).toBe(whole.usage.completion_tokens);
      });

      it('ends a stream with a chunk of usage where that is asked for', async () => {
        const { chunks } = await streamed({ stream_options: { include_usage: true } });
        const last = chunks.at(-1);
        expect(last?.choices).toEqual([]);
        expect(last?.usage?.total_tokens).toBeGreaterThan(0);
        expect(chunks.filter(({ choices }) => choices.length === 0)).toHaveLength(1);
      });

      it('counts tokens, and those that the cache spared', async () => {
        const messages = [
          { role: 'user', content: `${STORY} What is he called, what does he do?` },
        ];
        const first = (await ask({ messages, max_tokens: 2 })).usage;
        const again = (await ask({ messages, max_tokens: 2 })).usage;
        expect(first).toMatchObject({
          completion_tokens: 2,
          total_tokens: first.prompt_tokens + 2,
          prompt_tokens_details: { cached_tokens: 0 },
        });
        const { pageSize } = (await engine.stats()).kvCache;
        const { cached_tokens: cached } = again.prompt_tokens_details;
        expect(cached).toBe(Math.floor((first.prompt_tokens - 1) / pageSize) * pageSize);
        expect(cached).toBeGreaterThan(0);
        const { timings } = first;
        expect(timings.time_to_first_token_ms).toBeGreaterThan(0);
        expect(timings.total_ms).toBeGreaterThan(timings.time_to_first_token_ms);
        expect(timings.prefill_tokens_per_second).toBeGreaterThan(0);
        expect(timings.decode_tokens_per_second).toBeGreaterThan(0);
      });

      it('gives n replies, the first of them the one it would give alone', async () => {
        const messages = [{ role: 'user', content: 'Tell me a story.' }];
        const params = { messages, temperature: 2, seed: 5, max_tokens: 6, ignore_eos: true };
        const [alone, two] = [await ask(params), await ask({ ...params, n: 2 })];
        expect(two.choices.map(({ index }) => index)).toEqual([0, 1]);
        const texts = two.choices.map(({ message }) => message.content);
        expect(texts[0]).toBe(alone.choices[0]?.message.content);
        expect(texts[1]).not.toBe(texts[0]);
        expect(two.usage).toMatchObject({
          prompt_tokens: alone.usage.prompt_tokens,
          completion_tokens: 12,
        });
        expect((await streamed({ ...params, n: 2 })).texts).toEqual(texts);
      });

      it('reports log-probabilities', async () => {
        const params = { logprobs: true, top_logprobs: 20, max_tokens: 20 };
        const { choices, usage } = await ask(params);
        const content = choices[0]?.logprobs?.content ?? [];
        // Every token but the one that ended the reply.
        expect(content).toHaveLength(usage.completion_tokens - 1);
        const bytes = content.flatMap(({ bytes }) => bytes ?? []);
        expect(new TextDecoder().decode(Uint8Array.from(bytes)).trimStart()).toBe(ANSWER);
        for (const { token, logprob, top_logprobs: top } of content) {
          expect(top).toHaveLength(20);
          expect(top[0]).toMatchObject({ token, logprob });
          const values = top.map((other) => other.logprob);
          expect(values).toEqual(values.toSorted((a, b) => b - a));
          const sum = values.reduce((total, value) => total + Math.exp(value), 0);
          expect(sum).toBeGreaterThan(0.5);
          expect(sum).toBeLessThan(1 + 1e-4);
        }
        const { chunks } = await streamed(params);
        const deltas = chunks.flatMap(({ choices }) => choices[0]?.logprobs?.content ?? []);
        expect(deltas.map(({ token }) => token)).toEqual(content.map(({ token }) => token));
        const none = (await ask({ logprobs: true, max_tokens: 1 })).choices[0]?.logprobs;
        expect(none?.content.map(({ top_logprobs: top }) => top)).toEqual([[]]);
      });
    });

    describe('the end of a reply', () => {
      it('is where a stop string is, which is never shown, whole or in part', async () => {
        const { chunks, texts } = await streamed({ stop: ['tal of Fr', 'zebra'] });
        expect(texts).toEqual(['The capi']);
        expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
        expect((await ask({ stop: ' Paris' })).choices[0]?.message.content).toBe(
          'The capital of France is',
        );
        // A beginning of a stop string that comes to nothing is shown after all.
        expect((await ask({ stop: 'Paris, Texas' })).choices[0]?.message.content).toBe(ANSWER);
      });

      it('is before a stop id, or past the end of the model, as asked', async () => {
        const stop = (await engine.tokenize(' is', { addSpecialTokens: false })).at(-1) ?? 0;
        const cut = await ask({ stop_token_ids: [stop] });
        expect(cut.choices[0]).toMatchObject({
          message: { content: 'The capital of France' },
          finish_reason: 'stop',
        });
        const on = await ask({ ignore_eos: true, max_tokens: 14 });
        expect(on.choices[0]?.finish_reason).toBe('length');
        expect(on.usage.completion_tokens).toBe(14);
        expect(on.choices[0]?.message.content.startsWith(ANSWER)).toBe(true);
      });

      it('is at max_tokens, in both spellings', async () => {
        for (const limit of [{ max_tokens: 3 }, { max_tokens: 9, max_completion_tokens: 3 }]) {
          const { choices, usage } = await ask(limit);
          expect(choices[0]).toMatchObject({
            message: { content: 'The capital of' },
            finish_reason: 'length',
          });
          expect(usage.completion_tokens).toBe(3);
        }
      });

      it('is at the end of the context', async () => {
        const prompt = Array.from({ length: CONTEXT - 3 }, (_, i) => 300 + i);
        const { choices, usage } = await complete({ prompt, max_tokens: null, ignore_eos: true });
        expect(choices[0]?.finish_reason).toBe('length');
        // The last token needs no place: nothing is computed from it.
        expect(usage).toMatchObject({ prompt_tokens: CONTEXT - 3, completion_tokens: 4 });
      });
    });

    describe('sampling', () => {
      it('repeats itself for the same seed only', async () => {
        const sample = (seed: number) => textOf({ temperature: 1.5, seed, max_tokens: 8 });
        const texts = [];
        for (const seed of [1, 1, 2, -3, 2 ** 40 + 1]) texts.push(await sample(seed));
        expect(texts[1]).toBe(texts[0]);
        expect(new Set(texts).size).toBe(4);
      });

      it('takes the most probable token where nothing else is left', async () => {
        const greedy = await textOf();
        for (const params of [{ top_k: 1 }, { top_p: 0 }, { min_p: 1 }, { temperature: 0 }]) {
          expect(await textOf({ temperature: 2, seed: 3, ...params })).toBe(greedy);
        }
        const wide = { temperature: 2, seed: 3, top_k: 100, top_p: 0.99, min_p: 0.0001 };
        expect(await textOf({ ...wide, frequency_penalty: 1, presence_penalty: 1 })).not.toBe(
          greedy,
        );
      });

      it('is bent by biases and penalties', async () => {
        const token = (await engine.tokenize(' frog', { addSpecialTokens: false })).at(-1) ?? 0;
        const forced = await complete({ logit_bias: { [token]: 100 }, max_tokens: 3, logprobs: 0 });
        const tokens = forced.choices[0]?.logprobs?.tokens ?? [];
        expect(new Set(tokens).size).toBe(1);
        expect(tokens).toHaveLength(3);
        expect(tokens[0]?.trim()).toBe('frog');

        const { choices } = await complete({ logprobs: 0 });
        const [first = ''] = choices[0]?.logprobs?.tokens ?? [];
        const id = (await engine.tokenize(first, { addSpecialTokens: false })).at(-1) ?? 0;
        const banned = await complete({ logit_bias: { [id]: -100 }, logprobs: 0, max_tokens: 1 });
        expect(banned.choices[0]?.logprobs?.tokens).not.toEqual([first]);
      });

      it('follows generation_config.json where the request says nothing', async () => {
        // do_sample, temperature 0.7, top_p 0.9
        const unsaid = { prompt: STORY, max_tokens: 8, seed: 4 };
        const { choices } = await engine.completions.create(unsaid);
        expect(choices[0]?.text).toBe(await textOf({ ...unsaid, temperature: 0.7, top_p: 0.9 }));
      });
    });

    describe('completions', () => {
      it('takes text, ids, and several of either', async () => {
        const ids = await engine.tokenize(STORY);
        const want = await textOf();
        expect(await textOf({ prompt: ids })).toBe(want);
        const prompt = [ids, await engine.tokenize('Tom has a red ball.')];
        const several = await complete({ prompt, n: 2 });
        expect(several.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
        const texts = several.choices.map(({ text }) => text);
        expect(texts.slice(0, 2)).toEqual([want, want]);
        expect(texts[2]).toBe(texts[3]);
        expect(texts[2]).not.toBe(want);
        expect(several.usage.prompt_tokens).toBe(prompt.flat().length);
        const strings = await complete({ prompt: [STORY, 'Tom has a red ball.'] });
        expect(strings.choices.map(({ text }) => text)).toEqual([texts[0], texts[2]]);
      });

      it('echoes the prompt, and says where each token is', async () => {
        const { choices } = await complete({ echo: true, logprobs: 2 });
        const [choice] = choices;
        const { tokens = [], token_logprobs, top_logprobs, text_offset } = choice?.logprobs ?? {};
        expect(choice?.text).toBe(`${STORY}${await textOf()}`);
        expect(tokens).toHaveLength(6);
        expect(token_logprobs).toHaveLength(6);
        expect(top_logprobs).toHaveLength(6);
        for (const [i, token] of tokens.entries()) {
          const offset = text_offset?.[i] ?? Number.NaN;
          expect(choice?.text.slice(offset, offset + token.length)).toBe(token);
          expect(Object.keys(top_logprobs?.[i] ?? {})).toHaveLength(2);
          expect(top_logprobs?.[i]?.[token]).toBe(token_logprobs?.[i]);
        }
        const streamed = [];
        const options = { prompt: STORY, temperature: 0, max_tokens: 6, echo: true } as const;
        for await (const chunk of await engine.completions.create({ ...options, stream: true })) {
          streamed.push(chunk);
        }
        expect(streamed.map(({ choices }) => choices[0]?.text).join('')).toBe(choice?.text);
        expect(streamed.at(-1)?.choices[0]?.finish_reason).toBe('length');
      });

      it('shows bytes that are no character once, when no later byte can complete them', async () => {
        const [byte = 0] = (await engine.tokenize('\u{1f642}', { addSpecialTokens: false })).slice(
          -4,
        );
        const forced = {
          prompt: STORY,
          logit_bias: { [byte]: 100 },
          max_tokens: 5,
          temperature: 0,
        };
        const pieces: string[] = [];
        for await (const chunk of await engine.completions.create({ ...forced, stream: true })) {
          pieces.push(chunk.choices[0]?.text ?? '');
        }
        expect(pieces.join('')).toBe(await textOf(forced));
        expect(pieces.join('')).toBe('\u{fffd}'.repeat(5));
      });
    });

    describe('a prompt that does not fit', () => {
      const prompt = Array.from({ length: CONTEXT + 44 }, (_, i) => 300 + i);

      it('is an error that says by how much', async () => {
        await expect(complete({ prompt })).rejects.toMatchObject({
          name: 'RequestError',
          param: 'prompt',
          message: expect.stringMatching(/300 tokens.*256/),
        });
      });

      it('loses its beginning where that is asked for', async () => {
        const short = prompt.slice(-(CONTEXT - 6));
        const cut = await complete({ prompt, context_overflow: 'truncate' });
        expect(cut.usage.prompt_tokens).toBe(short.length);
        expect(cut.choices[0]?.text).toBe(await textOf({ prompt: short }));
      });

      it('loses its oldest turns in a chat, never the system message', async () => {
        const turn = (content: string) => [
          { role: 'user', content },
          { role: 'assistant', content: STORY },
        ];
        const system = { role: 'system', content: 'You are a frog.' };
        const old = Array.from({ length: 9 }, (_, i) => turn(`Story ${i}?`)).flat();
        const messages = [system, ...old, ...QUESTION];
        await expect(ask({ messages })).rejects.toMatchObject({ param: 'prompt' });
        const kept = (await ask({ messages, context_overflow: 'truncate', max_tokens: 3 })).usage;
        // The most turns that leave room for the reply.
        let length = Infinity;
        for (let turns = 2; length > CONTEXT - 3; turns += 2) {
          const asked = [system, ...old.slice(turns), ...QUESTION];
          length = await ask({ messages: asked, max_tokens: 1 }).then(
            (reply) => reply.usage.prompt_tokens,
            () => Infinity,
          );
        }
        expect(kept.prompt_tokens).toBe(length);
      });
    });
  },
  ONE_ADAPTER,
);
