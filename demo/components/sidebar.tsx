import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { SearchHit } from '../state/types.ts';
import { allChatsMenu, chatMenu, deleteChats } from './chat_actions.ts';
import { ConversationRow } from './conversation_row.tsx';
import { groupByDate } from './date_groups.ts';
import { Icon, Mark } from './icons.tsx';
import { usePage } from './page.ts';
import { Menu } from './popover.tsx';
import { MOD, SHIFT } from './shortcuts.tsx';
import { ThemeSwitch } from './theme_switch.tsx';
import { focusComposer, hasDrawer, hasSidebar, isNarrow, openDialog, toggleSidebar } from './ui.ts';

/** The conversations, beside the chat or, on a phone, over it. */
export function Sidebar({ onNewChat }: { readonly onNewChat: () => void }): JSX.Element {
  const isDrawer = isNarrow.value;
  const isShown = isDrawer ? hasDrawer.value : hasSidebar.value;
  const ref = useRef<HTMLDivElement>(null);
  const wasShown = useRef(isShown);
  useEffect(() => {
    if (isShown === wasShown.current) return;
    wasShown.current = isShown;
    // The button that was pressed is gone; its counterpart goes on.
    const next = isShown ? '#hide-sidebar' : '#show-sidebar';
    if (!(ref.current?.contains(document.activeElement) === true && isShown)) {
      document.querySelector<HTMLElement>(next)?.focus();
    }
  }, [isShown]);
  return (
    <div
      ref={ref}
      id="sidebar"
      class="sidebar"
      aria-label="Chats"
      role={isDrawer && isShown ? 'dialog' : 'complementary'}
      aria-modal={isDrawer && isShown ? true : undefined}
      inert={!isShown}
    >
      <div class="sidebar-inner">
        <div class="brand">
          <Mark />
          <h1>Quern</h1>
          <a
            class="icon-button"
            href="./bench.html"
            aria-label="Benchmark of this device"
            title="Benchmark of this device"
          >
            <Icon name="gauge" />
          </a>
          <button
            id="hide-sidebar"
            type="button"
            class="icon-button"
            aria-label="Hide the sidebar"
            title="Hide the sidebar"
            aria-expanded={isShown}
            onClick={toggleSidebar}
          >
            <Icon name={isDrawer ? 'close' : 'sidebar'} />
          </button>
        </div>
        <Conversations onNewChat={onNewChat} />
        <SidebarFoot />
      </div>
    </div>
  );
}

function Conversations({ onNewChat }: { readonly onNewChat: () => void }): JSX.Element {
  const { chat } = usePage();
  const query = useSignal('');
  const hits = useHits(query.value);
  return (
    <>
      <div class="sidebar-tools">
        <button id="new-chat" type="button" class="button new-chat" onClick={onNewChat}>
          <Icon name="compose" />
          New chat
          <kbd aria-hidden="true">{`${MOD} ${SHIFT} O`}</kbd>
        </button>
        <div class="search">
          <Icon name="search" />
          <input
            id="search"
            class="field"
            type="search"
            placeholder="Search"
            aria-label="Search the chats"
            value={query}
            onInput={(event) => {
              query.value = event.currentTarget.value;
            }}
            onKeyDown={(event) => {
              if (event.key !== 'Escape') return;
              event.preventDefault();
              event.stopPropagation();
              if (query.peek() === '') focusComposer();
              else query.value = '';
            }}
          />
        </div>
      </div>
      <nav class="conversations" aria-label="Conversations">
        {hits.length === 0 && (
          <p class="quiet" role="status">
            {query.value.trim() === ''
              ? 'Your chats appear here. They stay on this device.'
              : 'Nothing found.'}
          </p>
        )}
        <Groups hits={hits} currentId={chat.conversation.value.id} />
      </nav>
    </>
  );
}

function Groups({
  hits,
  currentId,
}: {
  readonly hits: readonly SearchHit[];
  readonly currentId: string;
}): JSX.Element {
  const page = usePage();
  const { chat } = page;
  const snippets = new Map(hits.map(({ info, snippet }) => [info.id, snippet]));
  const groups = groupByDate(
    hits.map(({ info }) => info),
    Date.now(),
  );
  return (
    <>
      {groups.map(({ name, items }) => (
        <section key={name} aria-label={name}>
          <h2>{name}</h2>
          <ul>
            {items.map((info) => {
              const snippet = snippets.get(info.id);
              return (
                <ConversationRow
                  key={info.id}
                  hit={snippet === undefined ? { info } : { info, snippet }}
                  isCurrent={info.id === currentId}
                  isReplying={chat.replyingIds.value.has(info.id)}
                  onOpen={() => {
                    hasDrawer.value = false;
                    void chat.open(info.id);
                    focusComposer();
                  }}
                  onRename={(title) => chat.rename(info.id, title)}
                  onDelete={() => deleteChats(page, [info.id])}
                  items={chatMenu(page, info)}
                />
              );
            })}
          </ul>
        </section>
      ))}
    </>
  );
}

/** What a query finds; all conversations while it is empty. */
function useHits(query: string): readonly SearchHit[] {
  const { store } = usePage();
  const list = store.list.value;
  const found = useSignal<{ readonly query: string; readonly hits: readonly SearchHit[] }>({
    query: '',
    hits: [],
  });
  const hasQuery = query.trim() !== '';
  useEffect(() => {
    if (!hasQuery) return;
    let isCurrent = true;
    void store.search(query).then((hits) => {
      if (isCurrent) found.value = { query, hits };
    });
    return () => {
      isCurrent = false;
    };
  }, [store, list, query, hasQuery, found]);
  if (!hasQuery) return list.map((info) => ({ info }));
  // What was renamed or deleted since the search.
  const present = new Map(list.map((info) => [info.id, info]));
  return found.value.hits.flatMap((hit) => {
    const info = present.get(hit.info.id);
    return info === undefined ? [] : [{ ...hit, info }];
  });
}

function SidebarFoot(): JSX.Element {
  const page = usePage();
  return (
    <div class="sidebar-foot">
      <ThemeSwitch />
      <div class="row">
        <button
          type="button"
          class="icon-button"
          aria-label="Keyboard shortcuts"
          title="Keyboard shortcuts"
          aria-haspopup="dialog"
          onClick={() => {
            openDialog.value = 'shortcuts';
          }}
        >
          <Icon name="keyboard" />
        </button>
        <Menu label="All chats" buttonClass="icon-button" items={allChatsMenu(page)} />
      </div>
    </div>
  );
}
