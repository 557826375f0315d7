import { Engine, type LoadOptions } from 'quern';

// The bundled toy. A model of the hub goes by its id, e.g. 'HuggingFaceTB/SmolLM2-135M-Instruct'.
const MODEL = '/weights/tinychat/';

const PLACES: Readonly<Record<string, NonNullable<LoadOptions['worker']>>> = {
  worker: true,
  shared: 'shared',
  page: false,
};

const form = document.querySelector('form') as HTMLFormElement;
const select = document.querySelector('select') as HTMLSelectElement;
const input = document.querySelector('input') as HTMLInputElement;
const button = document.querySelector('button') as HTMLButtonElement;
const show = (id: 'status' | 'reply' | 'error', text: string): void => {
  (document.getElementById(id) as HTMLElement).textContent = text;
};

let engine: Engine | undefined;
let loading = new AbortController();

/** Nothing but this option depends on where the engine runs: streams, errors and aborts are the same. */
async function load(): Promise<void> {
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  button.disabled = true;
  show('error', '');
  try {
    await engine?.dispose();
    engine = undefined;
    const loaded = await Engine.load(MODEL, {
      worker: PLACES[select.value] ?? false,
      signal,
      onProgress: ({ phase }) => show('status', `Loading the model: ${phase}`),
    });
    engine = loaded;
    show('status', `Ready. The engine runs in this thread: ${(await loaded.stats()).thread}`);
    button.disabled = false;
  } catch (error) {
    if (signal.aborted) return; // another place was chosen meanwhile
    show('status', '');
    show('error', String(error));
  }
}

async function reply(): Promise<void> {
  if (engine === undefined) return;
  button.disabled = true;
  show('error', '');
  try {
    let text = '';
    const stream = await engine.chat.completions.create({
      messages: [{ role: 'user', content: input.value }],
      stream: true,
      signal: loading.signal,
    });
    for await (const { choices } of stream) {
      text += choices[0]?.delta.content ?? '';
      show('reply', text);
    }
  } catch (error) {
    if (!loading.signal.aborted) show('error', String(error));
  }
  button.disabled = engine === undefined;
}

select.addEventListener('change', () => void load());
form.addEventListener('submit', (event) => {
  event.preventDefault();
  void reply();
});
await load();
