import { Engine } from 'quern';

// The bundled toy. A model of the hub goes by its id, e.g. 'HuggingFaceTB/SmolLM2-135M-Instruct'.
const MODEL = '/weights/tinychat/';

const form = document.querySelector('form') as HTMLFormElement;
const input = document.querySelector('input') as HTMLInputElement;
const button = document.querySelector('button') as HTMLButtonElement;
const show = (id: 'status' | 'reply' | 'error', text: string): void => {
  (document.getElementById(id) as HTMLElement).textContent = text;
};

try {
  const engine = await Engine.load(MODEL, {
    onProgress({ phase, loadedBytes, totalBytes }) {
      const part = totalBytes > 0 ? `: ${Math.round((100 * loadedBytes) / totalBytes)} %` : ' …';
      show('status', phase === 'ready' ? 'Ready.' : `Loading the model, ${phase}${part}`);
    },
  });
  button.disabled = false;

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    button.disabled = true;
    show('error', '');
    try {
      let text = '';
      const stream = await engine.chat.completions.create({
        messages: [{ role: 'user', content: input.value }],
        stream: true,
      });
      for await (const { choices } of stream) {
        text += choices[0]?.delta.content ?? '';
        show('reply', text);
      }
    } catch (error) {
      show('error', String(error));
    }
    button.disabled = false;
  });
} catch (error) {
  show('status', '');
  show('error', String(error));
}
