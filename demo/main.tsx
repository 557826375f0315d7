/** The chat page. @module */
import { effect } from '@preact/signals';
import { render } from 'preact';
import { followAddress } from './components/address.ts';
import { App } from './components/app.tsx';
import { focusComposer, showToast } from './components/ui.ts';
import { surroundings } from './problem.ts';
import { keepForOffline, newVersion } from './service_worker.ts';
import { Chat } from './state/chat.ts';
import { ConversationStore } from './state/conversation_store.ts';
import { ModelHost } from './state/model_host.ts';
import { ModelMemory } from './state/model_memory.ts';

const store = new ConversationStore();
const host = new ModelHost(new ModelMemory(), surroundings);
const chat = new Chat({ store, host });

const root = document.querySelector('#app');
if (root !== null) render(<App page={{ chat, host, store }} />, root);

followAddress(chat);
// A page that is hidden may be frozen or closed without another word.
document.addEventListener('visibilitychange', () => void store.flush());
addEventListener('pagehide', () => void store.flush());
effect(() => {
  const change = newVersion.value;
  if (change === undefined) return;
  showToast({
    text: 'A new version of the page is ready.',
    action: { label: 'Reload', run: change },
  });
});
// On a phone the keyboard would cover half of the page before anything was read.
if (matchMedia('(pointer: fine)').matches) focusComposer();
void host.start().then(keepForOffline);
