import type { JSX } from 'preact';
import { Mark } from './icons.tsx';

/** Fit for a model of a few million parameters. */
const SUGGESTIONS = [
  'Hello!',
  'Who are you?',
  'Tell me a story about a cat.',
  'What is the capital of France?',
] as const;

/** What is shown in place of messages. */
export function Welcome({
  canSend,
  onSend,
}: {
  readonly canSend: boolean;
  readonly onSend: (text: string) => void;
}): JSX.Element {
  return (
    <section class="welcome" aria-labelledby="welcome-title">
      <Mark />
      <h2 id="welcome-title">A language model inside this page</h2>
      <p>
        It runs on your own device, by WebGPU. What you write is sent nowhere, and it works without
        a network.
      </p>
      {canSend && (
        <div class="suggestions" role="group" aria-label="Suggested messages">
          {SUGGESTIONS.map((text) => (
            <button key={text} type="button" class="button" onClick={() => onSend(text)}>
              {text}
            </button>
          ))}
        </div>
      )}
    </section>
  );
}
