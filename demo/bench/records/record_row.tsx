import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { TitleField } from '../../components/conversation_row.tsx';
import { Menu, type MenuItem } from '../../components/popover.tsx';
import { exportItems } from './exports.ts';
import { formatTime } from './naming.ts';
import type { BenchRecord } from './record_store.ts';

const ORIGINS: Readonly<Record<BenchRecord['origin'], string>> = {
  measured: 'measured here',
  imported: 'imported',
  shared: 'from a link',
};

/** One record of the list: opened by a click, renamed in place, the rest in its menu. */
export function RecordRow({
  record: { name, createdAt, origin, reports },
  isCurrent,
  isChosen,
  onChoose,
  onOpen,
  onRename,
  onDelete,
}: {
  readonly record: BenchRecord;
  readonly isCurrent: boolean;
  /** Whether it is to be compared. */
  readonly isChosen: boolean;
  readonly onChoose: (isChosen: boolean) => void;
  readonly onOpen: () => void;
  readonly onRename: (name: string) => void;
  readonly onDelete: () => void;
}): JSX.Element {
  const isRenaming = useSignal(false);
  const opener = useRef<HTMLButtonElement>(null);
  function finish(text: string | undefined): void {
    isRenaming.value = false;
    const trimmed = text?.trim() ?? '';
    if (trimmed !== '' && trimmed !== name) onRename(trimmed);
    requestAnimationFrame(() => {
      // Whoever clicked elsewhere, or went on by Tab, stays there.
      if (document.activeElement === document.body) opener.current?.focus();
    });
  }
  function remove(): void {
    // This row goes, and the next one takes over.
    const rows = [...document.querySelectorAll<HTMLElement>('.record-open')];
    const at = rows.findIndex((row) => row === opener.current);
    const next = rows[at + 1] ?? rows[at - 1] ?? document.querySelector<HTMLElement>('#import');
    onDelete();
    next?.focus();
  }
  const items: readonly MenuItem[] = [
    {
      label: 'Rename',
      icon: 'pencil',
      run: () => {
        isRenaming.value = true;
      },
    },
    ...exportItems(reports, name),
    { label: 'Delete', icon: 'trash', isDangerous: true, run: remove },
  ];
  return (
    <li class={isCurrent ? 'record current' : 'record'}>
      <label class="record-check" title="Compare">
        <input
          type="checkbox"
          aria-label={`Compare “${name}”`}
          checked={isChosen}
          onChange={(event) => onChoose(event.currentTarget.checked)}
        />
      </label>
      {isRenaming.value ? (
        <TitleField label="Name of the run" title={name} onFinish={finish} />
      ) : (
        <>
          <button
            ref={opener}
            type="button"
            class="record-open"
            aria-current={isCurrent ? 'true' : undefined}
            onClick={onOpen}
            onKeyDown={(event) => {
              if (event.key === 'F2') isRenaming.value = true;
              if (event.key === 'Delete') remove();
            }}
          >
            <span>{name}</span>
            <span class="quiet">{`${formatTime(createdAt)} · ${ORIGINS[origin]}`}</span>
          </button>
          <Menu label={`Options of “${name}”`} buttonClass="icon-button small" items={items} />
        </>
      )}
    </li>
  );
}
