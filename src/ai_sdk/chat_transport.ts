import type { ChatTransport, UIMessage, UIMessageChunk } from 'ai';
import type { Engine } from '../engine/api.ts';
import { replyRequest, type ReplyOptions } from '../engine/conversation.ts';
import type { ChatCompletionChunk, Usage } from '../engine/openai.ts';
import { orAbort } from '../util/or_abort.ts';
import { readable } from './language_model.ts';
import { uiMessages } from './prompt.ts';

/** What the transport tells with a finished reply, as the message's `metadata`. */
export interface ReplyMetadata {
  readonly usage: Usage;
}

/**
 * Lets `useChat` of the AI SDK talk to an engine in the page, without a server between.
 *
 * Errors reach `useChat`'s `error` as they are. The `headers`, `body` and `metadata` of a request, which are for
 * servers, are not looked at.
 */
export class QuernChatTransport<
  M extends UIMessage = UIMessage<ReplyMetadata>,
> implements ChatTransport<M> {
  readonly #engine: Engine | PromiseLike<Engine>;
  readonly #options: ReplyOptions;

  constructor(engine: Engine | PromiseLike<Engine>, options: ReplyOptions = {}) {
    this.#engine = engine;
    this.#options = options;
  }

  /** Asks for a reply to the messages. @throws {UnsupportedFunctionalityError} if they hold more than text */
  async sendMessages({
    messages,
    abortSignal,
  }: Parameters<ChatTransport<M>['sendMessages']>[0]): Promise<ReadableStream<UIMessageChunk>> {
    const request = replyRequest(uiMessages(messages), this.#options);
    const engine = await orAbort(Promise.resolve(this.#engine), abortSignal);
    const chunks = await engine.chat.completions.create({
      ...request,
      stream: true,
      ...(abortSignal && { signal: abortSignal }),
    });
    return readable(uiChunksOf(chunks, abortSignal), chunks);
  }

  /** A reply is made only while its page is open: there is never one to come back to. */
  async reconnectToStream(): Promise<null> {
    return null;
  }
}

const TEXT_ID = 'text-0';

async function* uiChunksOf(
  chunks: AsyncIterable<ChatCompletionChunk>,
  signal: AbortSignal | undefined,
): AsyncGenerator<UIMessageChunk<ReplyMetadata>, void, undefined> {
  yield { type: 'start' };
  yield { type: 'start-step' };
  let hasText = false;
  let finish: UIMessageChunk<ReplyMetadata> = { type: 'finish' };
  try {
    for await (const { choices, usage } of chunks) {
      const delta = choices[0]?.delta.content ?? '';
      // Not before: useChat's status is `streaming` from here on.
      if (delta !== '' && !hasText) {
        hasText = true;
        yield { type: 'text-start', id: TEXT_ID };
      }
      if (delta !== '') yield { type: 'text-delta', id: TEXT_ID, delta };
      const finishReason = choices[0]?.finish_reason ?? undefined;
      if (finishReason !== undefined) finish = { ...finish, type: 'finish', finishReason };
      if (usage !== undefined) finish = { ...finish, type: 'finish', messageMetadata: { usage } };
    }
  } catch (error) {
    if (signal?.aborted !== true) throw error;
    finish = { type: 'abort' };
  }
  if (hasText) yield { type: 'text-end', id: TEXT_ID };
  if (finish.type === 'finish') yield { type: 'finish-step' };
  yield finish;
}
