/** The answers to POST /v1/chat/completions and /v1/completions. @module */
import type { ServerResponse } from 'node:http';
import type { Engine } from '../../engine/api.ts';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatLogprobs,
  Completion,
  CompletionChunk,
  Usage,
} from '../../engine/openai.ts';
import { toApiError } from './api_error.ts';
import { chatParams, completionParams } from './fields.ts';
import { EventStream, sendJson } from './http.ts';

/** What an answer is made from. */
export interface Job {
  readonly engine: Engine;
  /** Name of the model, for the answer. */
  readonly model: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly response: ServerResponse;
  /** Cancels the generation. */
  readonly signal: AbortSignal;
}

/** Answers a chat completion. @throws what the engine throws */
export async function answerChat({ engine, model, body, response, signal }: Job): Promise<void> {
  const params = { ...chatParams(body), signal };
  if (params.stream === true) {
    const chunks = await engine.chat.completions.create({ ...params, stream: true });
    return sendChunks(chunks, response, includesUsage(body), (chunk) => ({
      ...chunk,
      model,
      choices: chunk.choices.map((choice) => ({ ...choice, logprobs: withRefusal(choice) })),
    }));
  }
  const reply: ChatCompletion = await engine.chat.completions.create({ ...params, stream: false });
  sendJson(response, 200, {
    ...reply,
    model,
    choices: reply.choices.map((choice) => ({
      ...choice,
      message: { ...choice.message, refusal: null },
      logprobs: withRefusal(choice),
    })),
  });
}

/** Answers a plain completion. @throws what the engine throws */
export async function answerCompletion(job: Job): Promise<void> {
  const { engine, model, body, response, signal } = job;
  const params = { ...completionParams(body), signal };
  if (params.stream === true) {
    const chunks = await engine.completions.create({ ...params, stream: true });
    return sendChunks(chunks, response, includesUsage(body), (chunk) => ({ ...chunk, model }));
  }
  const reply: Completion = await engine.completions.create({ ...params, stream: false });
  sendJson(response, 200, { ...reply, model });
}

/** The field that OpenAI's clients declare besides `content`. */
function withRefusal({ logprobs }: { readonly logprobs: ChatLogprobs | null }): object | null {
  return logprobs && { ...logprobs, refusal: null };
}

function includesUsage({ stream_options: options }: Job['body']): boolean {
  return typeof options === 'object' && options !== null && 'include_usage' in options
    ? options.include_usage === true
    : false;
}

/**
 * Streams a reply. An error after the first piece can no longer be a status: it is sent as the last event, where
 * OpenAI's clients look for it, and `[DONE]` is left out.
 *
 * @param hasUsage - OpenAI tells usage in a chunk of its own, and only where it was asked for; all others say null
 *
 * @throws the error, after it was sent
 */
async function sendChunks<C extends ChatCompletionChunk | CompletionChunk>(
  chunks: AsyncIterable<C>,
  response: ServerResponse,
  hasUsage: boolean,
  present: (chunk: C) => object,
): Promise<void> {
  const events = new EventStream(response);
  try {
    for await (const chunk of chunks) {
      const isUsage = chunk.choices.length === 0;
      const usage: Usage | null = isUsage ? (chunk.usage ?? null) : null;
      // JSON.stringify leaves out what is undefined.
      await events.send({ ...present(chunk), usage: hasUsage ? usage : undefined });
    }
    await events.send('[DONE]');
  } catch (error) {
    await events.send(toApiError(error).body);
    throw error;
  } finally {
    events.end();
  }
}
