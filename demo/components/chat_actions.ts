/** What the menus of the sidebar do. @module */
import { UNDO_MS } from '../state/conversation_store.ts';
import { fromJson, ImportError, toJson, toMarkdown } from '../state/transfer.ts';
import type { Conversation, ConversationInfo } from '../state/types.ts';
import type { PageState } from './page.ts';
import type { MenuItem } from './popover.tsx';
import { fileName, pickText, saveFile } from './save_file.ts';
import { focusComposer, showToast } from './ui.ts';

/** Deletes chats, and offers to bring them back. */
export function deleteChats({ chat, store }: PageState, ids: readonly string[]): void {
  if (ids.length === 0) return;
  const openId = chat.conversation.peek().id;
  chat.delete(ids);
  showToast({
    text: ids.length === 1 ? 'Chat deleted' : `${ids.length} chats deleted`,
    // A little less than the store allows, so that the button never comes too late.
    durationMs: UNDO_MS - 500,
    action: {
      label: 'Undo',
      run: () => {
        store.restore(ids);
        // Unless the user has begun something else meanwhile.
        const isUntouched = chat.conversation.peek().messages.length === 0;
        if (ids.includes(openId) && isUntouched) void chat.open(openId);
        focusComposer();
      },
    },
  });
}

/** Ways to export one chat. */
export function chatMenu({ store }: PageState, { id, title }: ConversationInfo): MenuItem[] {
  const save = async (
    extension: string,
    type: string,
    write: (conversation: Conversation) => string,
  ): Promise<void> => {
    const conversation = await store.get(id);
    if (conversation !== undefined) {
      saveFile(fileName(title, extension), write(conversation), type);
    }
  };
  return [
    {
      label: 'Export as Markdown',
      icon: 'download',
      run: () => void save('md', 'text/markdown', toMarkdown),
    },
    {
      label: 'Export as JSON',
      icon: 'download',
      run: () => void save('json', 'application/json', (conversation) => toJson([conversation])),
    },
  ];
}

/** Export, import and deletion of all chats. */
export function allChatsMenu(page: PageState): readonly MenuItem[] {
  const { store } = page;
  return [
    {
      label: 'Export all chats',
      icon: 'download',
      run: () =>
        void store
          .all()
          .then((all) => saveFile('quern-chats.json', toJson(all), 'application/json')),
    },
    { label: 'Import chats…', icon: 'upload', run: () => void importChats(page) },
    {
      label: 'Delete all chats',
      icon: 'trash',
      isDangerous: true,
      run: () =>
        deleteChats(
          page,
          store.list.peek().map(({ id }) => id),
        ),
    },
  ];
}

async function importChats({ store }: PageState): Promise<void> {
  const text = await pickText('.json,application/json');
  if (text === undefined) return;
  try {
    const conversations = fromJson(text);
    await store.import(conversations);
    const count = conversations.length;
    showToast({
      text: `${count} ${count === 1 ? 'chat' : 'chats'} imported`,
      durationMs: 4000,
    });
  } catch (error) {
    if (!(error instanceof ImportError)) throw error;
    showToast({ text: error.message, durationMs: 8000 });
  }
}
