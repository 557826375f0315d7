/** Conversations of the AI SDK as the engine wants them. @module */
import { type LanguageModelV4Prompt, UnsupportedFunctionalityError } from '@ai-sdk/provider';
import type { UIMessage } from 'ai';
import type { Turn } from '../engine/conversation.ts';
import type { ChatMessage } from '../tokenizer/chat_template.ts';

/**
 * Messages of a prompt. Reasoning is left out, as chat templates do with that of earlier turns.
 *
 * @throws {UnsupportedFunctionalityError} for anything but text
 */
export function promptMessages(prompt: LanguageModelV4Prompt): readonly ChatMessage[] {
  return prompt.map(({ role, content }) => {
    if (role === 'tool') throw unsupported('tool messages');
    return { role, content: typeof content === 'string' ? content : textOf(role, content) };
  });
}

/**
 * Messages of a user interface. What is for the eyes only is left out, and so are messages without a text, such as a
 * reply that was stopped before it began.
 *
 * @throws {UnsupportedFunctionalityError} for files and tool calls
 */
export function uiMessages(messages: readonly UIMessage[]): readonly Turn[] {
  return messages.flatMap(({ role, parts }) => {
    const sent = parts.filter(({ type }) => !isForEyesOnly(type));
    const content = textOf(role, sent);
    return content === '' ? [] : [{ role, content }];
  });
}

function textOf(
  role: string,
  parts: readonly { readonly type: string; readonly text?: unknown }[],
): string {
  const texts = parts.flatMap(({ type, text }) => {
    if (type === 'reasoning') return [];
    if (type !== 'text' || typeof text !== 'string') throw unsupported(`${role} part "${type}"`);
    return [text];
  });
  return texts.join('');
}

function isForEyesOnly(type: string): boolean {
  return ['step-start', 'source-url', 'source-document'].includes(type) || type.startsWith('data-');
}

/** An error that names something this model cannot do. */
export function unsupported(functionality: string): UnsupportedFunctionalityError {
  return new UnsupportedFunctionalityError({
    functionality,
    message: `quern: ${functionality} is not supported, expected text messages`,
  });
}
