import type { Signal } from '@preact/signals';
import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { Icon } from './icons.tsx';

/** The field one writes in, and the button that sends or stops. */
export function Composer({
  draft,
  canSend,
  isReplying,
  onSend,
  onStop,
  onEditLast,
}: {
  readonly draft: Signal<string>;
  readonly canSend: boolean;
  readonly isReplying: boolean;
  readonly onSend: (text: string) => void;
  readonly onStop: () => void;
  /** The arrow up in an empty field. */
  readonly onEditLast: () => void;
}): JSX.Element {
  const field = useRef<HTMLTextAreaElement>(null);
  useGrowth(field, draft.value);
  function send(): void {
    const text = draft.peek().trim();
    if (text === '' || !canSend || isReplying) return;
    draft.value = '';
    onSend(text);
    field.current?.focus();
  }
  return (
    <form
      class="composer"
      aria-label="New message"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <label class="visually-hidden" for="draft">
        Your message
      </label>
      <textarea
        ref={field}
        id="draft"
        rows={1}
        placeholder="Write a message"
        aria-describedby="keys"
        autocomplete="off"
        enterkeyhint="send"
        value={draft}
        onInput={(event) => {
          draft.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          // Enter also ends the composition of a Japanese or Chinese word.
          if (event.isComposing) return;
          if (event.key === 'Enter' && !event.shiftKey) {
            event.preventDefault();
            send();
          } else if (event.key === 'ArrowUp' && draft.peek() === '') {
            event.preventDefault();
            onEditLast();
          }
        }}
      />
      <SendButton
        isReplying={isReplying}
        isDisabled={!canSend || draft.value.trim() === ''}
        onStop={() => {
          onStop();
          field.current?.focus();
        }}
      />
      <p id="keys" class="visually-hidden">
        Enter sends, Shift and Enter start a new line, Escape stops a reply.
      </p>
    </form>
  );
}

/** One button for both, so that who stops a reply by the keyboard keeps the focus. */
function SendButton({
  isReplying,
  isDisabled,
  onStop,
}: {
  readonly isReplying: boolean;
  /** Whether nothing can be sent. */
  readonly isDisabled: boolean;
  readonly onStop: () => void;
}): JSX.Element {
  return (
    <button
      id="send"
      type={isReplying ? 'button' : 'submit'}
      class="send"
      aria-label={isReplying ? 'Stop' : 'Send'}
      title={isReplying ? 'Stop (Esc)' : 'Send (Enter)'}
      disabled={!isReplying && isDisabled}
      onClick={(event) => {
        if (!isReplying) return;
        // By the time of its default action the button may be one that submits.
        event.preventDefault();
        onStop();
      }}
    >
      <Icon name={isReplying ? 'stop' : 'send'} />
    </button>
  );
}

/** Browsers without `field-sizing: content` are helped to the same height. */
function useGrowth(field: { readonly current: HTMLTextAreaElement | null }, text: string): void {
  useLayoutEffect(() => {
    const element = field.current;
    if (element === null || CSS.supports('field-sizing', 'content')) return;
    element.style.height = 'auto';
    element.style.height = `${element.scrollHeight}px`;
  }, [field, text]);
}
