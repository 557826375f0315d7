/** What is open on the page, apart from the conversations themselves. @module */
import { effect, type Signal, signal } from '@preact/signals';

/** A message at the edge of the page that goes by itself. */
export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly action?: { readonly label: string; readonly run: () => void };
  /** How long it is shown, in milliseconds; for good if undefined. */
  readonly durationMs?: number;
}

export type DialogName = 'model' | 'settings' | 'shortcuts';

/** `system` follows the setting of the device. */
export type Theme = 'system' | 'light' | 'dark';

export const THEMES: readonly Theme[] = ['system', 'light', 'dark'];

/** Where the sidebar lies over the chat, as in layout.css. */
const NARROW: MediaQueryList = matchMedia('(max-width: 48rem)');

export const isNarrow: Signal<boolean> = signal(NARROW.matches);
export const openDialog: Signal<DialogName | undefined> = signal();
/** On a narrow page: whether the sidebar lies over the chat. */
export const hasDrawer: Signal<boolean> = signal(false);
/** On a wide page: whether the sidebar stands beside the chat. */
export const hasSidebar: Signal<boolean> = signal(recall('quern.sidebar') !== 'closed');
export const theme: Signal<Theme> = signal(asTheme(recall('quern.theme')));
export const toasts: Signal<readonly Toast[]> = signal([]);
/** Texts of notices that need not be shown again. */
export const dismissedNotices: Signal<readonly string[]> = signal(
  recall('quern.notices')?.split('\n') ?? [],
);
/** Read out by assistive technology when it changes. */
export const announcement: Signal<string> = signal('');

NARROW.addEventListener('change', () => {
  isNarrow.value = NARROW.matches;
  hasDrawer.value = false;
});

effect(() => remember('quern.sidebar', hasSidebar.value ? undefined : 'closed'));

// theme.js, which runs before the first paint, reads the same entry.
effect(() => {
  const chosen = theme.value;
  remember('quern.theme', chosen === 'system' ? undefined : chosen);
  if (chosen === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = chosen;
});

let lastToast = 0;

/**
 * Shows a toast.
 *
 * @returns what takes it away again
 */
export function showToast(toast: Omit<Toast, 'id'>): () => void {
  lastToast += 1;
  const id = lastToast;
  toasts.value = [...toasts.peek(), { ...toast, id }];
  return () => dismissToast(id);
}

export function dismissToast(id: number): void {
  toasts.value = toasts.peek().filter((toast) => toast.id !== id);
}

export function dismissNotice(text: string): void {
  dismissedNotices.value = [...dismissedNotices.peek(), text];
  remember('quern.notices', dismissedNotices.value.join('\n'));
}

/** Shows the sidebar or hides it, whichever kind the width asks for. */
export function toggleSidebar(): void {
  const shown = isNarrow.value ? hasDrawer : hasSidebar;
  shown.value = !shown.value;
}

/** Opens the sidebar if it is not. */
export function showSidebar(): void {
  (isNarrow.value ? hasDrawer : hasSidebar).value = true;
}

/** Puts the cursor into the message field, once what was just changed is on the page. */
export function focusComposer(): void {
  requestAnimationFrame(() => document.querySelector<HTMLElement>('#draft')?.focus());
}

function asTheme(text: string | undefined): Theme {
  return THEMES.find((theme) => theme === text) ?? 'system';
}

/** Storage may be forbidden; then the page forgets. */
function recall(key: string): string | undefined {
  try {
    return localStorage.getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

function remember(key: string, value: string | undefined): void {
  try {
    if (value === undefined) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // As above.
  }
}
