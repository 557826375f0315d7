import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { SearchHit } from '../state/types.ts';
import { Menu, type MenuItem } from './popover.tsx';

/** One conversation in the sidebar: opened by a click, renamed in place, the rest in its menu. */
export function ConversationRow({
  hit: { info, snippet },
  isCurrent,
  isReplying,
  onOpen,
  onRename,
  onDelete,
  items,
}: {
  readonly hit: SearchHit;
  readonly isCurrent: boolean;
  readonly isReplying: boolean;
  readonly onOpen: () => void;
  readonly onRename: (title: string) => void;
  readonly onDelete: () => void;
  /** Of the menu, between renaming and deleting. */
  readonly items: readonly MenuItem[];
}): JSX.Element {
  const isRenaming = useSignal(false);
  const opener = useRef<HTMLButtonElement>(null);
  function finish(title: string | undefined): void {
    isRenaming.value = false;
    const trimmed = title?.trim() ?? '';
    if (trimmed !== '' && trimmed !== info.title) onRename(trimmed);
    requestAnimationFrame(() => {
      // Whoever clicked elsewhere, or went on by Tab, stays there.
      if (document.activeElement === document.body) opener.current?.focus();
    });
  }
  const rename: MenuItem = {
    label: 'Rename',
    icon: 'pencil',
    run: () => {
      isRenaming.value = true;
    },
  };
  function deleteRow(): void {
    // This row goes, and the next one takes over.
    const rows = [...document.querySelectorAll<HTMLElement>('.conversation-open')];
    const at = rows.findIndex((row) => row === opener.current);
    const next = rows[at + 1] ?? rows[at - 1] ?? document.querySelector<HTMLElement>('#new-chat');
    onDelete();
    next?.focus();
  }
  const remove: MenuItem = { label: 'Delete', icon: 'trash', isDangerous: true, run: deleteRow };
  return (
    <li class={isCurrent ? 'conversation current' : 'conversation'}>
      {isRenaming.value ? (
        <TitleField label="Title of the chat" title={info.title} onFinish={finish} />
      ) : (
        <>
          <button
            ref={opener}
            type="button"
            class="conversation-open"
            title={info.title}
            aria-current={isCurrent ? 'page' : undefined}
            onClick={onOpen}
            onDblClick={rename.run}
            onKeyDown={(event) => {
              if (event.key === 'F2') rename.run();
              if (event.key === 'Delete') deleteRow();
            }}
          >
            <span>
              {info.title}
              {isReplying && (
                <span class="writing" role="img" aria-label="a reply is being written" />
              )}
            </span>
            {snippet !== undefined && <Snippet parts={snippet} />}
          </button>
          <Menu
            label={`Options of “${info.title}”`}
            buttonClass="icon-button small"
            items={[rename, ...items, remove]}
          />
        </>
      )}
    </li>
  );
}

/** What a search found in a message. */
function Snippet({
  parts: [before, found, after],
}: {
  readonly parts: NonNullable<SearchHit['snippet']>;
}): JSX.Element {
  return (
    <span class="snippet">
      {before}
      <mark>{found}</mark>
      {after}
    </span>
  );
}

/** A field in the place of a title; Enter and leaving it take what it says, Escape leaves the title as it was. */
export function TitleField({
  label,
  title,
  onFinish,
}: {
  readonly label: string;
  readonly title: string;
  readonly onFinish: (title: string | undefined) => void;
}): JSX.Element {
  const field = useRef<HTMLInputElement>(null);
  // Escape takes the field away, and a field that goes loses the focus: only the first of both counts.
  const isFinished = useRef(false);
  // Before anything else can happen: a key that is pressed now belongs into the field.
  useLayoutEffect(() => field.current?.select(), []);
  function finish(text: string | undefined): void {
    if (isFinished.current) return;
    isFinished.current = true;
    onFinish(text);
  }
  return (
    <input
      ref={field}
      class="field"
      aria-label={label}
      defaultValue={title}
      maxLength={200}
      onBlur={(event) => finish(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.isComposing || (event.key !== 'Enter' && event.key !== 'Escape')) return;
        event.preventDefault();
        event.stopPropagation();
        finish(event.key === 'Enter' ? event.currentTarget.value : undefined);
      }}
    />
  );
}
