/** Conversations of a person with a model, as the React hook and the AI SDK's transport keep them. @module */
import type { ChatCompletionParams } from './openai.ts';

/** What is asked of the model with every message. */
export interface ReplyOptions extends Omit<
  ChatCompletionParams,
  'model' | 'messages' | 'n' | 'signal' | 'stream' | 'stream_options' | 'logprobs' | 'top_logprobs'
> {
  /** System message, before those of the conversation. */
  readonly system?: string;
}

/** What one side said. */
export interface Turn {
  readonly role: string;
  readonly content: string;
}

/**
 * The request for a reply.
 *
 * What one side said in a row, as after a stopped reply, is joined: many chat templates insist that the sides alternate.
 */
export function replyRequest(
  said: readonly Turn[],
  { system, ...params }: ReplyOptions,
): ChatCompletionParams {
  const messages: { role: string; content: string }[] = [];
  for (const { role, content } of system === undefined
    ? said
    : [{ role: 'system', content: system }, ...said]) {
    const last = messages.at(-1);
    if (last?.role === role) last.content += `\n\n${content}`;
    else messages.push({ role, content });
  }
  return { ...params, messages };
}
