import { type Context, createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Chat } from '../state/chat.ts';
import type { ConversationStore } from '../state/conversation_store.ts';
import type { ModelHost } from '../state/model_host.ts';

/** What the components show and act on. */
export interface PageState {
  readonly chat: Chat;
  readonly host: ModelHost;
  readonly store: ConversationStore;
}

export const PageContext: Context<PageState | undefined> = createContext<PageState | undefined>(
  undefined,
);

/** The state of the page a component is on. */
export function usePage(): PageState {
  const page = useContext(PageContext);
  if (page === undefined) throw new Error('components: no PageContext above this component');
  return page;
}
