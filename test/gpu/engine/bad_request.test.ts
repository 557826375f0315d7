/** Requests that cannot be served: each gives its own named error, and the next request works. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ChatCompletionParams, CompletionParams } from '../../../src/engine/openai.ts';
import { Engine } from '../../../src/index.ts';
import { RequestError, TokenizerError } from '../../../src/util/errors.ts';
import { ONE_ADAPTER } from '../../support/adapters.ts';
import { describeOnGpus } from '../../support/on_gpus.ts';
import { tinyModel } from '../../support/tiny_model.ts';

/** Options, the one at fault, and how the message goes on after `request: `. */
type Case = readonly [options: object, param: string, message: RegExp];

const SAMPLING: readonly Case[] = [
  [{ temperature: -0.1 }, 'temperature', /temperature is -0\.1, expected a number from 0 to 100$/],
  [{ temperature: Number.NaN }, 'temperature', /temperature is NaN/],
  [{ temperature: Infinity }, 'temperature', /temperature is Infinity/],
  [{ temperature: '1' }, 'temperature', /temperature is "1"/],
  [{ top_p: 1.1 }, 'top_p', /top_p is 1\.1, expected a number from 0 to 1$/],
  [{ top_p: -1 }, 'top_p', /top_p is -1/],
  [{ top_k: -1 }, 'top_k', /top_k is -1/],
  [{ top_k: 1.5 }, 'top_k', /top_k is 1\.5, expected an integer/],
  [{ min_p: 2 }, 'min_p', /min_p is 2/],
  [{ repetition_penalty: 0 }, 'repetition_penalty', /repetition_penalty is 0/],
  [{ frequency_penalty: 1e9 }, 'frequency_penalty', /frequency_penalty is 1000000000/],
  [{ presence_penalty: [] }, 'presence_penalty', /presence_penalty is an empty array/],
  [{ n: 0 }, 'n', /n is 0, expected a number from 1 to 128$/],
  [{ n: 1e9 }, 'n', /n is 1000000000/],
  [{ max_tokens: 0 }, 'max_tokens', /max_tokens is 0/],
  [{ max_tokens: 2.5 }, 'max_tokens', /max_tokens is 2\.5, expected an integer/],
  [{ max_tokens: 'many' }, 'max_tokens', /max_tokens is "many"/],
  [{ seed: 0.5 }, 'seed', /seed is 0\.5, expected an integer/],
  [{ seed: 2 ** 60 }, 'seed', /seed is 115292150460684/],
  [{ stop: 5 }, 'stop', /stop is 5, expected/],
  [{ stop: [''] }, 'stop', /stop has "", expected strings that are not empty/],
  [{ stop: ['a', null] }, 'stop', /stop has null/],
  [{ stop_token_ids: [3, 96] }, 'stop_token_ids', /stop_token_ids\[1\] is 96.*0 to 95$/],
  [{ stop_token_ids: 'a' }, 'stop_token_ids', /stop_token_ids is "a"/],
  [{ logit_bias: { 96: 1 } }, 'logit_bias', /logit_bias\[0\] is 96.*0 to 95$/],
  [{ logit_bias: { the: 1 } }, 'logit_bias', /logit_bias\[0\] is NaN/],
  [{ logit_bias: { 5: 101 } }, 'logit_bias', /logit_bias is 101/],
  [{ logit_bias: 5 }, 'logit_bias', /logit_bias is 5, expected/],
  [{ context_overflow: 'wrap' }, 'context_overflow', /context_overflow is "wrap"/],
  [{ ignore_eos: 1 }, 'ignore_eos', /ignore_eos is 1, expected true or false$/],
  [{ stream_options: true }, 'stream_options', /stream_options is true, expected an object$/],
  [
    { stream_options: { include_usage: 'yes' } },
    'stream_options.include_usage',
    /include_usage is "yes", expected true or false$/,
  ],
];

const COMPLETION: readonly Case[] = [
  [{ prompt: '' }, 'prompt', /the prompt is empty/],
  [{ prompt: [] }, 'prompt', /the prompt is empty/],
  [{ prompt: ['a', ''] }, 'prompt', /the prompt is empty/],
  [{ prompt: [[3], []] }, 'prompt', /the prompt is empty/],
  [{ prompt: undefined }, 'prompt', /prompt is nothing, expected text/],
  [{ prompt: 5 }, 'prompt', /prompt is 5, expected text/],
  [{ prompt: ['a', 5] }, 'prompt', /prompt is 5, expected text/],
  [{ prompt: [3, 96] }, 'prompt', /prompt\[1\] is 96, expected a token id from 0 to 95$/],
  [{ prompt: [-1] }, 'prompt', /prompt\[0\] is -1/],
  [{ prompt: [1.5] }, 'prompt', /prompt\[0\] is 1\.5/],
  [{ prompt: [3, null] }, 'prompt', /prompt\[1\] is null/],
  [{ prompt: 'a'.repeat(65) }, 'prompt', /the prompt has 65 tokens, the context holds 64/],
  [{ prompt: ['a', 'a'.repeat(65)] }, 'prompt', /the prompt has 65 tokens/],
  [{ echo: 'yes' }, 'echo', /echo is "yes", expected true or false$/],
  [{ logprobs: 21 }, 'logprobs', /logprobs is 21, expected a number from 0 to 20$/],
  [{ logprobs: true }, 'logprobs', /logprobs is true/],
];

const CHAT: readonly Case[] = [
  [{ messages: undefined }, 'messages', /^messages: found nothing, expected a list/],
  [{ messages: [] }, 'messages', /^messages: found an empty array/],
  [{ messages: ['a'] }, 'messages', /^messages\[0\]: found "a"/],
  [{ messages: [{ content: 'a' }] }, 'messages', /^messages\[0\]\.role: found nothing/],
  [{ messages: [{ role: 'user', content: 5 }] }, 'messages', /^messages\[0\]\.content: found 5/],
  [{ messages: [{ role: 'user', content: '' }] }, 'prompt', /the prompt is empty/],
  [{ logprobs: 2 }, 'logprobs', /logprobs is 2, expected true or false/],
  [{ top_logprobs: 2 }, 'top_logprobs', /expected logprobs: true/],
  [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs', /top_logprobs is 21/],
  [{ chat_template_kwargs: 'x' }, 'chat_template_kwargs', /is "x", expected an object$/],
  [{ max_completion_tokens: 0 }, 'max_completion_tokens', /max_completion_tokens is 0/],
];

describeOnGpus(
  'a request',
  (gpu) => {
    const load = (changes: Parameters<typeof tinyModel>[0] = {}) =>
      Engine.load(tinyModel(changes), { gpu: gpu(), selfTest: 'never', contextLength: 64 });
    let engine: Engine;
    beforeAll(async () => {
      engine = await load();
    });
    afterEach(async () => {
      const { requests, kvCache } = await engine.stats();
      const left = { ...requests, usedPages: kvCache.usedPages };
      expect(left).toEqual({ running: 0, waiting: 0, usedPages: 0 });
    });
    afterAll(async () => {
      const { choices } = await engine.completions.create({ prompt: 'a', max_tokens: 2 });
      expect(choices[0]?.text).toHaveLength(2);
      await engine.dispose();
    });

    const messages = [{ role: 'user', content: 'abc' }];
    // Callers need not be type-checked.
    const complete = (options: object, stream: boolean) =>
      engine.completions.create({ prompt: 'abc', ...options, stream } as CompletionParams);
    const chat = (options: object, stream: boolean) =>
      engine.chat.completions.create({ messages, ...options, stream } as ChatCompletionParams);

    const expectRefusal = async (
      create: typeof complete | typeof chat,
      [options, param, message]: Case,
    ) => {
      for (const stream of [false, true]) {
        const error: unknown = await create(options, stream).then(
          () => 'none',
          (error: unknown) => error,
        );
        expect(error).toBeInstanceOf(RequestError);
        expect(error).toMatchObject({ param, message: expect.stringMatching(message) });
      }
    };

    it.each(SAMPLING)('with %o', async (...wrong) => {
      await expectRefusal(complete, wrong);
      await expectRefusal(chat, wrong);
    });

    it.each(COMPLETION)('to continue, with %o', async (...wrong) => {
      await expectRefusal(complete, wrong);
    });

    it.each(CHAT)('to chat, with %o', async (...wrong) => {
      await expectRefusal(chat, wrong);
    });

    it('to stream, or not, by something else', async () => {
      const message = 'request: stream is "true", expected true or false';
      const stream: never = 'true' as never;
      await expect(engine.completions.create({ prompt: 'a', stream })).rejects.toThrow(message);
      await expect(engine.chat.completions.create({ messages, stream })).rejects.toThrow(message);
    });

    it('to tokenize or detokenize something else', async () => {
      await expect(engine.tokenize(Object(5))).rejects.toThrow(RequestError);
      await expect(engine.detokenize([3, -1])).rejects.toThrow(/ids\[1\] is -1/);
      await expect(engine.detokenize([1.5])).rejects.toThrow(RequestError);
    });

    describe.each([
      ['is absent', {}, /^chat template: found none/],
      ['is broken', { chat_template: '{% for %}' }, /^chat template: /],
      ['throws', { chat_template: '{{ raise_exception("no frogs") }}' }, /no frogs/],
      ['calls what is not there', { chat_template: '{{ f(1) }}' }, /^chat template: /],
    ])('to chat, where the template %s', (_, tokenizerConfig, message) => {
      it('is refused, and others work', async () => {
        const other = await load({ 'tokenizer_config.json': JSON.stringify(tokenizerConfig) });
        const error: unknown = await other.chat.completions
          .create({ messages })
          .catch((error: unknown) => error);
        expect(error).toBeInstanceOf(TokenizerError);
        expect(error).toMatchObject({ message: expect.stringMatching(message) });
        const { choices } = await other.completions.create({ prompt: 'abc', max_tokens: 2 });
        expect(choices[0]?.text).toHaveLength(2);
        await other.dispose();
      });
    });
  },
  ONE_ADAPTER,
);
