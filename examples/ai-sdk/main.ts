import { AbstractChat, type ChatState, streamText, type UIMessage } from 'ai';
import { Engine } from 'quern';
import { quern, QuernChatTransport } from 'quern/ai-sdk';

// The bundled toy. A model of the hub goes by its id, e.g. 'HuggingFaceTB/SmolLM2-135M-Instruct'.
const MODEL = '/weights/tinychat/';

const form = document.querySelector('form') as HTMLFormElement;
const input = document.querySelector('input') as HTMLInputElement;
const element = (id: string): HTMLElement => document.getElementById(id) as HTMLElement;

// Whoever asks before the model is there waits for it.
const engine = Engine.load(MODEL, {
  worker: true,
  onProgress: ({ phase }) => void (element('status').textContent = `Loading the model: ${phase}`),
});

/** The chat of the AI SDK without a framework. In React it is `useChat({ transport })` of `@ai-sdk/react`. */
class PageChat extends AbstractChat<UIMessage> {
  constructor(transport: QuernChatTransport<UIMessage>) {
    const messages: UIMessage[] = [];
    const state: ChatState<UIMessage> = {
      status: 'ready',
      error: undefined,
      messages,
      pushMessage: (message) => this.#show(() => void state.messages.push(message)),
      popMessage: () => this.#show(() => void state.messages.pop()),
      replaceMessage: (i, message) => this.#show(() => void (state.messages[i] = message)),
      snapshot: (thing) => structuredClone(thing),
    };
    super({ state, transport });
  }

  protected override setStatus(change: Parameters<AbstractChat<UIMessage>['setStatus']>[0]): void {
    super.setStatus(change);
    element('status').textContent = change.status;
    element('error').textContent = change.error === undefined ? '' : String(change.error);
    (element('stop') as HTMLButtonElement).disabled = !['submitted', 'streaming'].includes(
      change.status,
    );
  }

  #show(change: () => void): void {
    change();
    const turns = this.messages.map(({ role, parts }) => {
      const turn = document.createElement('p');
      turn.className = `turn ${role}`;
      turn.textContent = parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
      return turn;
    });
    element('log').replaceChildren(...turns);
  }
}

const chat = new PageChat(new QuernChatTransport(engine, { context_overflow: 'truncate' }));

form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (['submitted', 'streaming'].includes(chat.status)) return;
  void chat.sendMessage({ text: input.value });
});
element('stop').addEventListener('click', () => void chat.stop());

// The same engine as a language model, for everything else that the AI SDK does.
element('once').addEventListener('click', async () => {
  element('text').textContent = '';
  const { textStream } = streamText({ model: quern(engine), prompt: input.value });
  for await (const piece of textStream) element('text').append(piece);
});

try {
  await engine;
  element('status').textContent = 'ready';
} catch (error) {
  element('status').textContent = '';
  element('error').textContent = String(error);
}
