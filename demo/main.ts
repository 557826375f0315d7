/** The chat page: connects what the user does to the session. @module */
import { BUNDLED } from './bundled.ts';
import { droppedFiles } from './dropped_files.ts';
import type { Action } from './problem.ts';
import { Session } from './session.ts';
import { element, View } from './view.ts';

const view = new View((action: Action) => {
  switch (action) {
    case 'retry':
      void session.reload();
      break;
    case 'bundled':
      void session.load(BUNDLED.url);
      break;
    case 'new-chat':
      session.newChat();
      break;
  }
});
const session = new Session(view);

const form = element('composer', HTMLFormElement);
const draft = element('draft', HTMLTextAreaElement);
const folder = element('folder', HTMLInputElement);

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const message = draft.value.trim();
  if (message === '' || !session.isIdle) return;
  draft.value = '';
  void session.send(message);
});
draft.addEventListener('keydown', (event) => {
  // Enter also ends the composition of a Japanese or Chinese word.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
for (const button of element('suggestions', HTMLElement).querySelectorAll('button')) {
  button.addEventListener('click', () => {
    draft.focus();
    void session.send(button.textContent);
  });
}
element('stop', HTMLButtonElement).addEventListener('click', () => session.stop());
element('new-chat', HTMLButtonElement).addEventListener('click', () => {
  session.newChat();
  draft.focus();
});
element('cancel', HTMLButtonElement).addEventListener('click', () => session.cancelLoad());
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') session.stop();
});

element('open', HTMLButtonElement).addEventListener('click', () => folder.click());
folder.addEventListener('change', () => {
  const files = [...(folder.files ?? [])];
  // The same folder can be chosen again, after a file in it was mended.
  folder.value = '';
  if (files.length > 0) void session.load(files);
});
// Only files: text can still be dragged into the message.
function holdsFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes('Files') === true;
}
document.addEventListener('dragover', (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  document.body.classList.add('dropping');
});
document.addEventListener('dragleave', (event) => {
  if (event.relatedTarget === null) document.body.classList.remove('dropping');
});
document.addEventListener('drop', (event) => {
  document.body.classList.remove('dropping');
  if (event.dataTransfer === null || !holdsFiles(event)) return;
  event.preventDefault();
  void openDropped(event.dataTransfer);
});

async function openDropped(transfer: DataTransfer): Promise<void> {
  let files: readonly File[];
  try {
    files = await droppedFiles(transfer);
  } catch (error) {
    view.showProblem({
      title: 'What was dropped cannot be read',
      advice: ['Drop the folder of a model, or use “Open model…”.'],
      detail: String(error),
      actions: [],
    });
    return;
  }
  if (files.length > 0) await session.load(files);
}

void session.load(BUNDLED.url);
