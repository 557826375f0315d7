import { useSignal, useSignalEffect } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Action } from '../problem.ts';
import { BUNDLED } from '../bundled.ts';
import { Composer } from './composer.tsx';
import { useFollowEnd } from './follow_end.ts';
import { Icon } from './icons.tsx';
import { Loading } from './loading.tsx';
import { ReplyView, UserMessageView } from './message.tsx';
import { Notices } from './notices.tsx';
import { usePage } from './page.ts';
import { ProblemBox } from './problem_box.tsx';
import { announcement, focusComposer } from './ui.ts';
import { Welcome } from './welcome.tsx';

/** The open conversation, and the field to go on with it. */
export function ConversationView({
  onAction,
}: {
  readonly onAction: (action: Action) => void;
}): JSX.Element {
  const { chat, host, store } = usePage();
  const editing = useSignal<string | undefined>(undefined);
  const scroller = useRef<HTMLElement>(null);
  const { isAtEnd, jump } = useFollowEnd(scroller);
  const state = host.state.value;
  const { id } = chat.conversation.value;
  const isEmpty = chat.path.value.length === 0;
  useEffect(() => {
    editing.value = undefined;
    jump();
  }, [id, editing, jump]);
  useAnnouncements();
  function send(text: string): void {
    jump();
    void chat.send(text);
  }
  return (
    <>
      <main ref={scroller} class="scroller" id="main" tabIndex={-1}>
        <div class="column">
          {isEmpty && (
            <Welcome
              canSend={chat.canSend}
              onSend={(text) => {
                send(text);
                focusComposer();
              }}
            />
          )}
          {isEmpty && <Notices state={state} keeping={store.keeping.value} />}
          <Messages editing={editing} />
          {state.kind === 'loading' && <Loading state={state} onCancel={() => host.cancel()} />}
          {state.kind === 'recovering' && (
            <p class="notice" role="status">
              <Icon name="warning" />
              <span>
                The GPU was lost. The model is being set up again; replies go on by themselves.
              </span>
            </p>
          )}
          <Problems onAction={onAction} />
        </div>
      </main>
      <section class="composer-area" aria-label="Write a message">
        {!isAtEnd.value && (
          <JumpButton
            onClick={() => {
              jump('smooth');
              focusComposer();
            }}
          />
        )}
        <div class="column">
          <Composer
            draft={chat.draft}
            canSend={chat.canSend}
            isReplying={chat.replying.value !== undefined}
            onSend={send}
            onStop={() => chat.stop()}
            onEditLast={() => {
              if (!chat.canSend) return;
              editing.value = chat.path.peek().findLast(({ role }) => role === 'user')?.id;
            }}
          />
          <p class="quiet hint">
            {state.kind !== 'none' && state.choice.kind === 'bundled'
              ? `${BUNDLED.name} is tiny and often wrong. It runs on this device.`
              : 'The model runs on this device. Models make mistakes.'}
          </p>
        </div>
      </section>
    </>
  );
}

function JumpButton({ onClick }: { readonly onClick: () => void }): JSX.Element {
  return (
    <button
      type="button"
      class="jump"
      aria-label="Go to the end"
      title="Go to the end"
      onClick={onClick}
    >
      <Icon name="down" />
    </button>
  );
}

function Messages({
  editing,
}: Pick<Parameters<typeof UserMessageView>[0], 'editing'>): JSX.Element | null {
  const { chat } = usePage();
  const path = chat.path.value;
  if (path.length === 0) return null;
  return (
    <section class="messages" aria-label="Conversation">
      {path.map((message, index) => {
        const isLast = index === path.length - 1;
        return message.role === 'user' ? (
          <UserMessageView key={message.id} message={message} isLast={isLast} editing={editing} />
        ) : (
          <ReplyView key={message.id} reply={message} isLast={isLast} />
        );
      })}
    </section>
  );
}

/** The model's problem, or else the last reply's. */
function Problems({
  onAction,
}: {
  readonly onAction: (action: Action) => void;
}): JSX.Element | null {
  const { chat, host } = usePage();
  const state = host.state.value;
  const problem = state.kind === 'failed' ? state.problem : chat.problem.value;
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (problem !== undefined) place.current?.scrollIntoView({ block: 'nearest' });
  }, [problem]);
  if (problem === undefined) return null;
  // Loading the bundled model again is one button, not two.
  const isBundled = state.kind !== 'none' && state.choice.kind === 'bundled';
  const actions = problem.actions.filter((action) => action !== 'bundled' || !isBundled);
  return (
    <div ref={place} class="problem-place">
      <ProblemBox problem={{ ...problem, actions }} onAction={onAction} />
    </div>
  );
}

/** Reads out a reply once, when it is finished. */
function useAnnouncements(): void {
  const { chat } = usePage();
  const written = useRef<string>(undefined);
  useSignalEffect(() => {
    const replyId = chat.replying.value?.messageId;
    const finishedId = written.current;
    written.current = replyId;
    if (replyId !== undefined) announcement.value = '';
    if (replyId !== undefined || finishedId === undefined) return;
    // As it stands on the page, without the signs of Markdown.
    requestAnimationFrame(() => {
      const prose = document.querySelector(`#message-${finishedId} .prose`);
      if (prose !== null) announcement.value = prose.textContent;
    });
  });
}
