/** A message and its reply as elements. @module */
import type { Turn } from './session.ts';
import { describeEnding } from './wording.ts';

/**
 * Adds a message and a reply that is still empty to the conversation.
 *
 * @param onWithdraw - called after both were taken away again
 */
export function openTurn(log: HTMLElement, message: string, onWithdraw: () => void): Turn {
  const question = messageElement('mine', 'You');
  question.text.data = message;
  const reply = messageElement('reply', 'Model');
  // Screen readers read a busy element when it is done, not word by word.
  reply.element.ariaBusy = 'true';
  log.append(question.element, reply.element);
  scrollToEnd();
  return {
    append(piece) {
      followEnd(() => reply.text.appendData(piece));
    },
    finish(ending) {
      followEnd(() => {
        const note = document.createElement('p');
        note.className = 'note';
        note.textContent = describeEnding(ending);
        reply.element.append(note);
        reply.element.ariaBusy = 'false';
      });
    },
    withdraw() {
      question.element.remove();
      reply.element.remove();
      onWithdraw();
    },
  };
}

/** Text goes into a text node only, so that nothing in it is taken for markup. */
function messageElement(
  className: string,
  author: string,
): { readonly element: HTMLElement; readonly text: Text } {
  const element = document.createElement('article');
  element.className = `message ${className}`;
  element.ariaLabel = author;
  const paragraph = document.createElement('p');
  paragraph.className = 'text';
  const text = new Text();
  paragraph.append(text);
  element.append(paragraph);
  return { element, text };
}

/** Keeps the end in sight for a reader who is there, and leaves one who scrolled back alone. */
function followEnd(change: () => void): void {
  const { scrollHeight } = document.documentElement;
  const isAtEnd = window.scrollY + window.innerHeight > scrollHeight - 40;
  change();
  if (isAtEnd) scrollToEnd();
}

function scrollToEnd(): void {
  window.scrollTo({ top: document.documentElement.scrollHeight });
}
