import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { Icon } from './icons.tsx';
import { type DialogName, openDialog } from './ui.ts';

/** Closes the dialog that is open. */
export function closeDialog(): void {
  openDialog.value = undefined;
}

/** A modal dialog; its contents exist only while it is open. */
export function Dialog({
  name,
  title,
  foot,
  children,
}: {
  readonly name: DialogName;
  readonly title: string;
  readonly foot?: ComponentChildren;
  readonly children: ComponentChildren;
}): JSX.Element {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  const isOpen = openDialog.value === name;
  useEffect(() => {
    // The platform keeps the focus inside, and gives it back at the end.
    if (isOpen) ref.current?.showModal();
    else ref.current?.close();
  }, [isOpen]);
  return (
    <dialog
      ref={ref}
      id={`${name}-dialog`}
      class="dialog"
      aria-labelledby={titleId}
      onClose={() => {
        if (openDialog.peek() === name) closeDialog();
      }}
      // The backdrop counts as the dialog itself, which its contents cover.
      onMouseDown={(event) => {
        if (event.target === ref.current) closeDialog();
      }}
    >
      {isOpen && (
        <>
          <div class="dialog-head">
            <h2 id={titleId}>{title}</h2>
            <button type="button" class="icon-button" aria-label="Close" onClick={closeDialog}>
              <Icon name="close" />
            </button>
          </div>
          <div class="dialog-body">{children}</div>
          {foot !== undefined && <div class="dialog-foot">{foot}</div>}
        </>
      )}
    </dialog>
  );
}
