import { effect } from '@preact/signals';
import type { Chat } from '../state/chat.ts';

/**
 * Keeps the open conversation in the page's address and title, so that a reload shows it again and the browser's back button
 * goes to the one before.
 */
export function followAddress(chat: Chat): void {
  const show = async (): Promise<void> => {
    const id = idInAddress();
    if (id === chat.conversation.peek().id) return;
    if (id === undefined || !(await chat.open(id))) chat.newChat();
  };
  const opened = idInAddress() === undefined ? Promise.resolve() : show();
  addEventListener('popstate', () => void show());
  void opened.then(() =>
    effect(() => {
      const { id, title, messages } = chat.conversation.value;
      document.title = messages.length > 0 ? `${title} · Quern` : 'Quern chat';
      const wanted = messages.length > 0 ? id : undefined;
      const present = idInAddress();
      if (wanted === present) return;
      const url = wanted === undefined ? location.pathname + location.search : `#${wanted}`;
      // A new chat that gets its first message is still the same place.
      if (present === undefined) history.replaceState(null, '', url);
      else history.pushState(null, '', url);
    }),
  );
}

function idInAddress(): string | undefined {
  return location.hash.slice(1) || undefined;
}
