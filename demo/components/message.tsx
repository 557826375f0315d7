import type { Signal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { branchesOf } from '../state/message_tree.ts';
import type { Message, Reply, UserMessage } from '../state/types.ts';
import { describeReply } from '../wording.ts';
import { copyText } from './clipboard.ts';
import { Icon, type IconName } from './icons.tsx';
import { usePage } from './page.ts';
import { Prose } from './prose.tsx';
import { focusComposer } from './ui.ts';

/** What the user wrote; can be rewritten, which begins another branch. */
export function UserMessageView({
  message,
  isLast,
  editing,
}: {
  readonly message: UserMessage;
  readonly isLast: boolean;
  /** Id of the message that is rewritten. */
  readonly editing: Signal<string | undefined>;
}): JSX.Element {
  const { chat } = usePage();
  const isEditing = editing.value === message.id;
  const isBusy = chat.replying.value !== undefined;
  return (
    <article class={isLast ? 'message mine last' : 'message mine'} id={`message-${message.id}`}>
      <h2 class="visually-hidden">You</h2>
      {isEditing ? (
        <EditForm
          text={message.content}
          canSend={chat.canSend}
          onCancel={() => {
            editing.value = undefined;
            focusComposer();
          }}
          onSend={(text) => {
            editing.value = undefined;
            void chat.edit(message.id, text);
            focusComposer();
          }}
        />
      ) : (
        <>
          <div class="bubble">{message.content}</div>
          <MessageFoot message={message}>
            <Action icon="copy" label="Copy" onClick={() => void copyText(message.content)} />
            <Action
              icon="pencil"
              label="Edit"
              disabled={isBusy}
              onClick={() => {
                editing.value = message.id;
              }}
            />
          </MessageFoot>
        </>
      )}
    </article>
  );
}

/** What the model answered, or is answering. */
export function ReplyView({
  reply,
  isLast,
}: {
  readonly reply: Reply;
  readonly isLast: boolean;
}): JSX.Element {
  const { chat } = usePage();
  const replying = chat.replying.value;
  const isWriting = replying?.messageId === reply.id;
  // Only the reply under way reads what changes with each frame.
  const text = isWriting ? chat.replyText.value : reply.content;
  return (
    <article
      class={isLast ? 'message reply last' : 'message reply'}
      id={`message-${reply.id}`}
      aria-busy={isWriting}
    >
      <h2 class="visually-hidden">{reply.model}</h2>
      <Prose text={text} />
      {!isWriting && (
        <MessageFoot message={reply}>
          <Action icon="copy" label="Copy" onClick={() => void copyText(reply.content)} />
          <Action
            icon="redo"
            label="Try again"
            disabled={!chat.canSend}
            onClick={() => {
              void chat.regenerate(reply.id);
              focusComposer();
            }}
          />
        </MessageFoot>
      )}
    </article>
  );
}

function MessageFoot({
  message,
  children,
}: {
  readonly message: Message;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <div class="message-foot">
      <BranchSwitch message={message} />
      <div class="actions">{children}</div>
      {message.role === 'assistant' && <span class="stats">{describeReply(message)}</span>}
    </div>
  );
}

function BranchSwitch({ message }: { readonly message: Message }): JSX.Element | null {
  const { chat } = usePage();
  const { ids, index } = branchesOf(chat.conversation.value, message.id);
  if (ids.length < 2) return null;
  const isBusy = chat.replying.value !== undefined;
  function show(id: string | undefined, which: 'previous' | 'next'): void {
    if (id === undefined) return;
    chat.selectBranch(id);
    // Another message stands there now, and its button takes over.
    requestAnimationFrame(() => {
      const foot = document.querySelector(`#message-${id} .branches`);
      const buttons = [...(foot?.querySelectorAll<HTMLButtonElement>('button:enabled') ?? [])];
      (buttons.find(({ name }) => name === which) ?? buttons[0])?.focus();
    });
  }
  return (
    <div class="branches" role="group" aria-label="Versions">
      <button
        type="button"
        name="previous"
        class="icon-button small"
        aria-label="Previous version"
        disabled={isBusy || index === 0}
        onClick={() => show(ids[index - 1], 'previous')}
      >
        <Icon name="left" />
      </button>
      <span>
        {index + 1}/{ids.length}
      </span>
      <button
        type="button"
        name="next"
        class="icon-button small"
        aria-label="Next version"
        disabled={isBusy || index === ids.length - 1}
        onClick={() => show(ids[index + 1], 'next')}
      >
        <Icon name="right" />
      </button>
    </div>
  );
}

function Action({
  icon,
  label,
  disabled = false,
  onClick,
}: {
  readonly icon: IconName;
  readonly label: string;
  readonly disabled?: boolean;
  readonly onClick: () => void;
}): JSX.Element {
  return (
    <button
      type="button"
      class="icon-button small"
      aria-label={label}
      title={label}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

function EditForm({
  text,
  canSend,
  onCancel,
  onSend,
}: {
  readonly text: string;
  readonly canSend: boolean;
  readonly onCancel: () => void;
  readonly onSend: (text: string) => void;
}): JSX.Element {
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    const element = field.current;
    element?.focus();
    element?.setSelectionRange(element.value.length, element.value.length);
  }, []);
  function send(): void {
    const edited = field.current?.value.trim() ?? '';
    if (edited !== '' && canSend) onSend(edited);
  }
  return (
    <form
      class="edit"
      aria-label="Edit the message"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={field}
        class="field"
        rows={2}
        aria-label="Your message"
        defaultValue={text}
        onKeyDown={(event) => {
          if (event.isComposing) return;
          if (event.key === 'Escape') {
            event.preventDefault();
            event.stopPropagation();
            onCancel();
          } else if (event.key === 'Enter' && !event.shiftKey) {
            event.preventDefault();
            send();
          }
        }}
      />
      <div class="edit-foot">
        <p class="quiet">The present version stays, beside the new one.</p>
        <button type="button" class="button" onClick={onCancel}>
          Cancel
        </button>
        <button type="submit" class="button primary" disabled={!canSend}>
          Send
        </button>
      </div>
    </form>
  );
}
