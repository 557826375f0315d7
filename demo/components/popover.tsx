import type { ComponentChildren, JSX, TargetedKeyboardEvent } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { Icon, type IconName } from './icons.tsx';

/** Least distance from the edge of the window, in pixels. */
const MARGIN = 8;

/** A button that opens something at its side; it closes on Escape and on a click elsewhere. */
export function Popover({
  label,
  buttonClass,
  button,
  panelClass,
  panelRole,
  onOpen,
  children,
}: {
  readonly label: string;
  readonly buttonClass: string;
  readonly button: ComponentChildren;
  readonly panelClass: string;
  readonly panelRole: 'menu' | 'dialog';
  readonly onOpen?: () => void;
  readonly children: (close: () => void) => ComponentChildren;
}): JSX.Element {
  const id = useId();
  const [isOpen, setOpen] = useState(false);
  const buttonRef = useRef<HTMLButtonElement>(null);
  const panelRef = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const [opener, panel] = [buttonRef.current, panelRef.current];
    if (!isOpen || opener === null || panel === null) return;
    panel.showPopover();
    const stop = holdBeside(panel, opener);
    const first = panel.querySelector<HTMLElement>('[role=menuitem]');
    (first ?? panel).focus();
    return stop;
  }, [isOpen]);
  function close(): void {
    panelRef.current?.hidePopover();
  }
  return (
    <>
      <button
        ref={buttonRef}
        type="button"
        class={buttonClass}
        aria-label={label}
        title={label}
        aria-haspopup={panelRole}
        aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined}
        // A click on the button first closes an open panel; this must not open it again.
        popoverTarget={isOpen ? id : undefined}
        popoverTargetAction="hide"
        onClick={() => {
          if (isOpen) return;
          setOpen(true);
          onOpen?.();
        }}
      >
        {button}
      </button>
      {isOpen && (
        <div
          ref={panelRef}
          id={id}
          popover="auto"
          role={panelRole}
          aria-label={label}
          tabIndex={-1}
          class={`popover ${panelClass}`}
          onToggle={(event) => {
            if (event.newState !== 'closed') return;
            const hadFocus = panelRef.current?.contains(document.activeElement) === true;
            setOpen(false);
            if (hadFocus || document.activeElement === document.body) buttonRef.current?.focus();
          }}
        >
          {children(close)}
        </div>
      )}
    </>
  );
}

/** One line of a menu. */
export interface MenuItem {
  readonly label: string;
  readonly icon: IconName;
  readonly isDangerous?: boolean;
  readonly run: () => void;
}

/** A button with a menu, moved through by the arrow keys. */
export function Menu({
  label,
  buttonClass,
  button = <Icon name="more" />,
  items,
}: {
  readonly label: string;
  readonly buttonClass: string;
  readonly button?: ComponentChildren;
  readonly items: readonly MenuItem[];
}): JSX.Element {
  return (
    <Popover
      label={label}
      buttonClass={buttonClass}
      button={button}
      panelClass="menu"
      panelRole="menu"
    >
      {(close) =>
        items.map(({ label, icon, isDangerous, run }) => (
          <button
            key={label}
            type="button"
            role="menuitem"
            tabIndex={-1}
            class={isDangerous === true ? 'danger' : ''}
            onKeyDown={(event) => moveInMenu(event, close)}
            onClick={() => {
              close();
              run();
            }}
          >
            <Icon name={icon} />
            {label}
          </button>
        ))
      }
    </Popover>
  );
}

/** https://www.w3.org/WAI/ARIA/apg/patterns/menubar/ */
function moveInMenu(event: TargetedKeyboardEvent<HTMLButtonElement>, close: () => void): void {
  const items = [...(event.currentTarget.parentElement?.children ?? [])];
  const index = items.indexOf(event.currentTarget);
  const next = {
    ArrowDown: (index + 1) % items.length,
    ArrowUp: (index - 1 + items.length) % items.length,
    Home: 0,
    End: items.length - 1,
  }[event.key];
  if (event.key === 'Tab') close();
  const item = items[next ?? -1];
  if (!(item instanceof HTMLElement)) return;
  event.preventDefault();
  item.focus();
}

/** Places a panel at its opener, and closes it when the page moves that away. */
function holdBeside(panel: HTMLElement, opener: HTMLElement): () => void {
  const at = opener.getBoundingClientRect();
  place(panel, at);
  const look = (): void => {
    if (opener.getBoundingClientRect().top !== at.top) panel.hidePopover();
  };
  addEventListener('scroll', look, { passive: true });
  return () => removeEventListener('scroll', look);
}

/** Below the opener or, where that is too low, above it; never outside the window. */
function place(panel: HTMLElement, opener: DOMRect): void {
  const { width, height } = panel.getBoundingClientRect();
  const left = opener.left + width > innerWidth - MARGIN ? opener.right - width : opener.left;
  const below = opener.bottom + 4;
  const top = below + height > innerHeight - MARGIN ? opener.top - 4 - height : below;
  panel.style.left = `${Math.max(MARGIN, Math.min(left, innerWidth - MARGIN - width))}px`;
  panel.style.top = `${Math.max(MARGIN, top)}px`;
}
