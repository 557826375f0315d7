import type { JSX } from 'preact';
import { useCallback, useEffect, useMemo } from 'preact/hooks';
import { droppedModel } from '../dropped_files.ts';
import type { Action } from '../problem.ts';
import { ConversationView } from './conversation_view.tsx';
import { DropTarget } from './drop_target.tsx';
import { Header } from './header.tsx';
import { ModelDialog } from './model_dialog.tsx';
import { PageContext, type PageState } from './page.ts';
import { SettingsDialog } from './settings_dialog.tsx';
import { handleShortcut, ShortcutsDialog } from './shortcuts.tsx';
import { Sidebar } from './sidebar.tsx';
import { Toasts } from './toasts.tsx';
import { focusComposer, hasDrawer, hasSidebar, isNarrow, openDialog, showToast } from './ui.ts';

/** The whole page. */
export function App({ page }: { readonly page: PageState }): JSX.Element {
  const { newChat, act, drop } = useActions(page);
  useShortcuts(page, newChat);
  const isCovered = isNarrow.value && hasDrawer.value;
  const classes = [
    'app',
    hasSidebar.value ? '' : 'without-sidebar',
    isCovered ? 'with-drawer' : '',
  ];
  return (
    <PageContext.Provider value={page}>
      <div class={classes.filter(Boolean).join(' ')}>
        <Sidebar onNewChat={newChat} />
        <div
          class="backdrop"
          onClick={() => {
            hasDrawer.value = false;
          }}
        />
        <div class="chat" inert={isCovered}>
          <Header onNewChat={newChat} />
          <ConversationView onAction={act} />
        </div>
      </div>
      <ModelDialog />
      <SettingsDialog />
      <ShortcutsDialog />
      <DropTarget text="Drop the folder of a model, or its files" onDrop={drop} />
      <Toasts />
    </PageContext.Provider>
  );
}

interface Actions {
  readonly newChat: () => void;
  readonly act: (action: Action) => void;
  readonly drop: (transfer: DataTransfer) => void;
}

function useActions({ chat, host }: PageState): Actions {
  const newChat = useCallback(() => {
    hasDrawer.value = false;
    chat.newChat();
    focusComposer();
  }, [chat]);
  const drop = useCallback(
    (transfer: DataTransfer) => {
      droppedModel(transfer).then(
        (choice) => {
          openDialog.value = undefined;
          if (choice !== undefined) void host.load(choice);
        },
        () => showToast({ text: 'What was dropped cannot be read.', durationMs: 6000 }),
      );
    },
    [host],
  );
  return useMemo(() => {
    const actions: Readonly<Record<Action, () => void>> = {
      retry: () => void host.reload(),
      allow: () => void host.reload(),
      download: () => void host.reload(),
      bundled: () => void host.load({ kind: 'bundled' }),
      choose: () => {
        openDialog.value = 'model';
      },
      'new-chat': newChat,
    };
    const act = (action: Action): void => {
      actions[action]();
      // The button that was pressed goes with its box.
      if (action !== 'choose') focusComposer();
    };
    return { newChat, act, drop };
  }, [host, newChat, drop]);
}

function useShortcuts({ chat }: PageState, newChat: () => void): void {
  useEffect(() => {
    const stop = (): boolean => {
      if (hasDrawer.peek()) {
        hasDrawer.value = false;
        return true;
      }
      const isReplying = chat.replying.peek() !== undefined;
      if (isReplying) chat.stop();
      return isReplying;
    };
    const listen = (event: KeyboardEvent): void => handleShortcut(event, { newChat, stop });
    document.addEventListener('keydown', listen);
    return () => document.removeEventListener('keydown', listen);
  }, [chat, newChat]);
}
