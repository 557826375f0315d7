import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Icon } from './icons.tsx';
import { announcement, dismissToast, type Toast, toasts } from './ui.ts';

/** Toasts, and the region through which assistive technology hears of finished replies. */
export function Toasts(): JSX.Element {
  return (
    <>
      <div class="toasts" role="status">
        {toasts.value.map((toast) => (
          <ToastItem key={toast.id} toast={toast} />
        ))}
      </div>
      <p class="visually-hidden" role="status" id="announcer">
        {announcement.value}
      </p>
    </>
  );
}

function ToastItem({ toast }: { readonly toast: Toast }): JSX.Element {
  const { id, text, action, durationMs } = toast;
  // Whoever is about to press its button gets the time to.
  const [isHeld, setHeld] = useState(false);
  useEffect(() => {
    if (durationMs === undefined || isHeld) return;
    const timer = setTimeout(() => dismissToast(id), durationMs);
    return () => clearTimeout(timer);
  }, [id, durationMs, isHeld]);
  return (
    <div
      class="toast"
      onMouseEnter={() => setHeld(true)}
      onMouseLeave={() => setHeld(false)}
      onFocusIn={() => setHeld(true)}
      onFocusOut={() => setHeld(false)}
    >
      <span>{text}</span>
      {action !== undefined && (
        <button
          type="button"
          class="button"
          onClick={() => {
            dismissToast(id);
            action.run();
          }}
        >
          {action.label}
        </button>
      )}
      {action !== undefined && (
        <button
          type="button"
          class="icon-button small"
          aria-label="Dismiss"
          onClick={() => dismissToast(id)}
        >
          <Icon name="close" />
        </button>
      )}
    </div>
  );
}
