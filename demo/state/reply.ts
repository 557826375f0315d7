/** Asks the model for one reply. @module */
import { type ChatMessage, DisposedError, type Engine, type Usage } from 'quern';
import { wasShortened } from './context_use.ts';
import type { Conversation, Ending, Message, Reply } from './types.ts';

/** What became of a reply. */
export interface ReplyEnd {
  readonly content: string;
  readonly ending: Ending;
  readonly usage?: Usage;
  readonly isShortened?: boolean;
  /** Of a reply that failed. */
  readonly error?: unknown;
}

/** How a reply is watched and stopped. */
interface ReplyOptions {
  /** Name of the model, as the replies before have it. */
  readonly model: string;
  readonly signal: AbortSignal;
  /** Gets the whole text so far. */
  readonly onText: (text: string) => void;
}

/**
 * Has the next reply written. Never rejects.
 *
 * @param conversation - for its instructions and settings
 * @param path - what was said before, up to the message that is answered
 */
export async function streamReply(
  engine: Engine,
  { systemPrompt, settings }: Conversation,
  path: readonly Message[],
  { model, signal, onText }: ReplyOptions,
): Promise<ReplyEnd> {
  let content = '';
  let usage: Usage | undefined;
  let isCut = false;
  try {
    const stream = await engine.chat.completions.create({
      ...settings,
      messages: promptOf(systemPrompt, path),
      stream: true,
      context_overflow: 'truncate',
      signal,
    });
    for await (const chunk of stream) {
      const [choice] = chunk.choices;
      content += choice?.delta.content ?? '';
      if (choice?.delta.content) onText(content);
      isCut ||= choice?.finish_reason === 'length';
      usage = chunk.usage ?? usage;
    }
  } catch (error) {
    // Disposed: the user chose another model.
    const isStopped = signal.aborted || error instanceof DisposedError;
    return isStopped ? { content, ending: 'stopped' } : { content, ending: 'failed', error };
  }
  const ending = isCut ? 'cut' : 'complete';
  if (usage === undefined) return { content, ending };
  const isShortened = wasShortened(path, usage, model);
  return { content, ending, usage, ...(isShortened && { isShortened }) };
}

/** What the model is shown: a question that got no answer is left out, because roles have to alternate. */
function promptOf(systemPrompt: string, path: readonly Message[]): readonly ChatMessage[] {
  const said = path.filter((message, i) => {
    const reply = message.role === 'user' ? path[i + 1] : message;
    return reply?.role !== 'assistant' || !isSilent(reply);
  });
  const messages = said.map(({ role, content }): ChatMessage => ({ role, content }));
  return systemPrompt.trim() === ''
    ? messages
    : [{ role: 'system', content: systemPrompt }, ...messages];
}

function isSilent({ content, ending }: Reply): boolean {
  return content === '' && ending !== 'complete' && ending !== 'cut';
}
