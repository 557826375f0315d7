import { showToast } from './ui.ts';

/** Puts a text on the clipboard, and says whether that worked. */
export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    showToast({ text: 'Copied', durationMs: 2000 });
  } catch {
    showToast({ text: 'The browser did not allow copying.', durationMs: 5000 });
  }
}
