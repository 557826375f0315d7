/**
 * Models in the page for the AI SDK. Needs its packages `ai` and `@ai-sdk/provider`, version 7 and 4.
 *
 * ```js
 * const engine = await Engine.load('owner/name', { worker: true });
 * const { textStream } = streamText({ model: quern(engine), prompt: 'Hello!' });
 * ```
 *
 * @module
 */
import type { Engine } from '../engine/api.ts';
import { type LanguageModelSettings, QuernLanguageModel } from './language_model.ts';

export type { QuernProviderOptions } from './call.ts';
export type { ReplyOptions } from '../engine/conversation.ts';
export { QuernChatTransport, type ReplyMetadata } from './chat_transport.ts';
export type { LanguageModelSettings, QuernLanguageModel } from './language_model.ts';

/**
 * A language model for the AI SDK's `generateText`, `streamText` and agents.
 *
 * Text in, text out: tools and JSON schemas are answered with warnings, files and tool messages with
 * `UnsupportedFunctionalityError`.
 *
 * @param engine - a loaded engine, or the promise of one that calls then wait for; it stays the caller's
 */
export function quern(
  engine: Engine | PromiseLike<Engine>,
  settings: LanguageModelSettings = {},
): QuernLanguageModel {
  return new QuernLanguageModel(engine, settings);
}
