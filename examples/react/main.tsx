/** @jsxImportSource react */
import { useChat } from 'quern/react';
import { type FormEvent, type ReactNode, StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';

// The bundled toy. A model of the hub goes by its id, e.g. 'HuggingFaceTB/SmolLM2-135M-Instruct'.
const MODEL = '/weights/tinychat/';

function ChatView(): ReactNode {
  const chat = useChat({ model: MODEL, load: { worker: true }, context_overflow: 'truncate' });
  const { messages, status, error, progress, engine } = chat;
  const [draft, setDraft] = useState('');
  const isReplying = status === 'submitted' || status === 'streaming';

  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (isReplying || !engine) return;
    setDraft('');
    void chat.sendMessage(draft);
  };

  return (
    <main>
      <h1>React</h1>
      <div role="log" aria-label="Conversation" aria-busy={isReplying}>
        {messages.map(({ id, role, content }) => (
          <p key={id} className={`turn ${role}`}>
            {content}
          </p>
        ))}
      </div>
      <p role="status">
        {status === 'loading' ? `Loading the model: ${progress?.phase ?? 'files'}` : status}
      </p>
      {error && (
        <p role="alert">
          {String(error)}{' '}
          <button type="button" onClick={() => (engine ? void chat.regenerate() : chat.reload())}>
            Try again
          </button>
        </p>
      )}
      <form onSubmit={submit}>
        <input
          aria-label="Message"
          value={draft}
          onChange={({ target }) => setDraft(target.value)}
          required
        />
        {isReplying ? (
          // By their keys two buttons: else Stop would have become Send before its click does what that does.
          <button key="stop" type="button" onClick={chat.stop}>
            Stop
          </button>
        ) : (
          <button key="send" disabled={!engine}>
            Send
          </button>
        )}
        <button
          type="button"
          disabled={isReplying || !engine || messages.length === 0}
          onClick={() => void chat.regenerate()}
        >
          Regenerate
        </button>
      </form>
    </main>
  );
}

const root = document.getElementById('root') as HTMLElement;
createRoot(root).render(
  <StrictMode>
    <ChatView />
  </StrictMode>,
);
