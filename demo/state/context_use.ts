/** How the conversation and the model's context get on. @module */
import type { Usage } from 'quern';
import { nameOfModel } from './model_choice.ts';
import type { ContextUse, LoadState, Message, Reply } from './types.ts';

/** How full the context is after a branch's last reply; undefined before the first, and without a model. */
export function contextUseOf(state: LoadState, path: readonly Message[]): ContextUse | undefined {
  if (!('stats' in state)) return undefined;
  const last = lastCounted(path, nameOfModel(state));
  if (last === undefined) return undefined;
  const { contextLength } = state.stats.model;
  return { tokens: last.usage.total_tokens, contextLength };
}

/** Whether old messages were left out of a prompt: else it holds the one before and its reply. Once out, they stay out. */
export function wasShortened(path: readonly Message[], usage: Usage, model: string): boolean {
  const last = lastCounted(path, model);
  if (last === undefined) return false;
  return last.isShortened === true || usage.prompt_tokens < last.usage.total_tokens;
}

/** The last reply whose tokens are known; none if it is another model's, which counts other tokens. */
function lastCounted(
  path: readonly Message[],
  model: string,
): (Reply & { readonly usage: Usage }) | undefined {
  const last = path.findLast(isCounted);
  return last?.model === model ? last : undefined;
}

function isCounted(message: Message): message is Reply & { readonly usage: Usage } {
  return message.role === 'assistant' && message.usage !== undefined;
}
