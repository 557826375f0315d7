import type { JSX } from 'preact';
import { Dialog } from './dialog.tsx';
import { focusComposer, openDialog, showSidebar, toggleSidebar } from './ui.ts';

const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);

/** The key that most shortcuts begin with. */
export const MOD: string = isMac ? '⌘' : 'Ctrl';
export const SHIFT: string = isMac ? '⇧' : 'Shift';

const SHORTCUTS: readonly { readonly keys: readonly string[]; readonly what: string }[] = [
  { keys: ['Enter'], what: 'Send the message' },
  { keys: [SHIFT, 'Enter'], what: 'Start a new line' },
  { keys: ['↑'], what: 'Edit your last message, from an empty message field' },
  { keys: ['Esc'], what: 'Stop the reply' },
  { keys: [MOD, SHIFT, 'O'], what: 'New chat' },
  { keys: [MOD, 'K'], what: 'Search the chats' },
  { keys: [MOD, SHIFT, 'S'], what: 'Show or hide the sidebar' },
  { keys: [MOD, ','], what: 'Settings' },
  { keys: ['/'], what: 'Go to the message field' },
  { keys: ['F2'], what: 'Rename a chat of the list' },
  { keys: ['Delete'], what: 'Delete a chat of the list' },
  { keys: ['?'], what: 'This list' },
];

/** The list of shortcuts. */
export function ShortcutsDialog(): JSX.Element {
  return (
    <Dialog name="shortcuts" title="Keyboard shortcuts">
      <dl class="shortcuts">
        {SHORTCUTS.map(({ keys, what }) => (
          <>
            <dt>{what}</dt>
            <dd class="row">
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dd>
          </>
        ))}
      </dl>
    </Dialog>
  );
}

/** What the shortcuts do that the components cannot do by themselves. */
export interface ShortcutActions {
  readonly newChat: () => void;
  /** @returns whether there was anything to stop */
  readonly stop: () => boolean;
}

/** Does what a key stands for, unless a field or a dialog wants it. */
export function handleShortcut(event: KeyboardEvent, { newChat, stop }: ShortcutActions): void {
  if (event.defaultPrevented || event.isComposing || openDialog.peek() !== undefined) return;
  // An open menu is what Escape closes, and no more.
  if (event.key === 'Escape' && document.querySelector(':popover-open') !== null) return;
  const key = event.key.toLowerCase();
  const action = hasMod(event)
    ? modActions(event.shiftKey, newChat)[key]
    : isTyping(event.target)
      ? undefined
      : { '/': focusComposer, '?': showShortcuts }[key];
  if (action !== undefined) {
    event.preventDefault();
    action();
  } else if (key === 'escape' && stop()) event.preventDefault();
}

function modActions(hasShift: boolean, newChat: () => void): Readonly<Record<string, () => void>> {
  return hasShift
    ? { o: newChat, s: toggleSidebar }
    : {
        k: focusSearch,
        ',': () => {
          openDialog.value = 'settings';
        },
      };
}

function showShortcuts(): void {
  openDialog.value = 'shortcuts';
}

function focusSearch(): void {
  showSidebar();
  requestAnimationFrame(() => document.querySelector<HTMLElement>('#search')?.focus());
}

function hasMod(event: KeyboardEvent): boolean {
  return (isMac ? event.metaKey : event.ctrlKey) && !event.altKey;
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input, textarea, select');
}
