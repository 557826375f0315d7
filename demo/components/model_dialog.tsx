import { type Signal, useSignal } from '@preact/signals';
import type { ComponentChildren, JSX, TargetedEvent } from 'preact';
import { useId, useRef } from 'preact/hooks';
import { nameOfChoice, parseLocation } from '../state/model_choice.ts';
import type { ModelHost } from '../state/model_host.ts';
import type { ModelChoice } from '../state/types.ts';
import { closeDialog, Dialog } from './dialog.tsx';
import { Icon, type IconName } from './icons.tsx';
import { usePage } from './page.ts';
import { showToast } from './ui.ts';

declare global {
  /** https://wicg.github.io/file-system-access/#api-showdirectorypicker; not in Firefox and Safari, nor in lib.dom. */
  function showDirectoryPicker(): Promise<FileSystemDirectoryHandle>;
}

const ICONS: Readonly<Record<ModelChoice['kind'], IconName>> = {
  bundled: 'chip',
  remote: 'link',
  files: 'file',
  folder: 'folder',
};

const NOTES: Readonly<Record<ModelChoice['kind'], string>> = {
  bundled: 'Comes with this page: a toy of 5 million parameters',
  remote: 'Used before; downloaded again unless the browser kept it',
  files: 'From this device',
  folder: 'Used before, from this device',
};

/** Makes a picker of files one of folders; not in Preact's types. */
const OF_FOLDER = { webkitdirectory: true } as const;

/** Public, ungated, small, and of a family that runs. */
const EXAMPLES = [
  { id: 'HuggingFaceTB/SmolLM2-135M-Instruct', note: '135 million parameters, 270 MB' },
  { id: 'HuggingFaceTB/SmolLM2-360M-Instruct', note: '360 million parameters, 725 MB' },
  { id: 'TinyLlama/TinyLlama-1.1B-Chat-v1.0', note: '1.1 billion parameters, 2.2 GB' },
] as const;

/** Chooses the model: bundled, recent, from the disk, or from an address. */
export function ModelDialog(): JSX.Element {
  return (
    <Dialog name="model" title="Choose a model">
      <AtHand />
      <FromDisk />
      <FromAddress />
      <p class="quiet">
        Quern runs models of the LLaMA and Mistral families as they are published: config.json,
        tokenizer.json, and weights in safetensors files (f32, f16 or bf16). Nothing is converted,
        and what you open here does not leave your device.
      </p>
    </Dialog>
  );
}

/** The bundled model, and those used before. */
function AtHand(): JSX.Element {
  const { host } = usePage();
  const state = host.state.value;
  const inUse = 'stats' in state ? nameOfChoice(state.choice) : undefined;
  const choices: readonly ModelChoice[] = [{ kind: 'bundled' }, ...host.recent.value];
  return (
    <section aria-label="Models at hand">
      <ul class="models">
        {choices.map((choice) => {
          const name = nameOfChoice(choice);
          return (
            <li key={name}>
              <ModelRow
                icon={ICONS[choice.kind]}
                name={name}
                note={NOTES[choice.kind]}
                onClick={() => void host.load(choice)}
              >
                {name === inUse && <span class="badge">in use</span>}
              </ModelRow>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function ModelRow({
  icon,
  name,
  note,
  onClick,
  children,
}: {
  readonly icon: IconName;
  readonly name: string;
  readonly note: string;
  readonly onClick: () => void;
  readonly children?: ComponentChildren;
}): JSX.Element {
  return (
    <button
      type="button"
      class="model-row"
      onClick={() => {
        closeDialog();
        onClick();
      }}
    >
      <Icon name={icon} />
      <span>
        <strong>{name}</strong>
        <span class="quiet">{note}</span>
      </span>
      {children}
    </button>
  );
}

function FromDisk(): JSX.Element {
  const { host } = usePage();
  const folder = useRef<HTMLInputElement>(null);
  const files = useRef<HTMLInputElement>(null);
  function take(event: TargetedEvent<HTMLInputElement>): void {
    const chosen = [...(event.currentTarget.files ?? [])];
    // The same folder can be chosen again, after a file in it was mended.
    event.currentTarget.value = '';
    if (chosen.length === 0) return;
    closeDialog();
    void host.load({ kind: 'files', files: chosen });
  }
  return (
    <section aria-labelledby="from-disk">
      <h3 id="from-disk">From this device</h3>
      <p class="quiet">
        The folder of a model, or its files. You can also drop them anywhere on the page.
      </p>
      <div class="buttons">
        <button
          type="button"
          class="button"
          onClick={() => {
            if ('showDirectoryPicker' in window) void pickFolder(host);
            else folder.current?.click();
          }}
        >
          <Icon name="folder" />
          Open a folder…
        </button>
        <button type="button" class="button" onClick={() => files.current?.click()}>
          <Icon name="file" />
          Open files…
        </button>
      </div>
      <input ref={folder} id="folder" type="file" {...OF_FOLDER} multiple hidden onChange={take} />
      <input ref={files} id="files" type="file" multiple hidden onChange={take} />
    </section>
  );
}

/** Unlike files, a folder that was picked can be opened again after a reload. */
async function pickFolder(host: ModelHost): Promise<void> {
  try {
    const handle = await showDirectoryPicker();
    closeDialog();
    await host.load({ kind: 'folder', handle });
  } catch (error) {
    // The user thought better of it.
    if (!(error instanceof DOMException && error.name === 'AbortError')) {
      showToast({ text: 'The browser did not open the folder.', durationMs: 6000 });
    }
  }
}

function FromAddress(): JSX.Element {
  const { host } = usePage();
  const address = useSignal('');
  const token = useSignal('');
  const wrong = useSignal<string | undefined>(undefined);
  const id = useId();
  function load(text: string): void {
    const choice = parseLocation(text);
    if (typeof choice === 'string') {
      wrong.value = choice;
      return;
    }
    closeDialog();
    void host.load(choice, token.peek().trim() || undefined);
  }
  return (
    <section aria-labelledby={`${id}-title`}>
      <h3 id={`${id}-title`}>From Hugging Face or a web address</h3>
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          load(address.peek());
        }}
      >
        <label class="visually-hidden" for="address">
          Name of a repository, or address of a folder
        </label>
        <input
          id="address"
          class="field"
          type="text"
          placeholder="owner/name or https://…"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          aria-invalid={wrong.value !== undefined}
          aria-describedby={`${id}-wrong`}
          value={address}
          onInput={(event) => {
            address.value = event.currentTarget.value;
            wrong.value = undefined;
          }}
        />
        <button type="submit" class="button primary">
          Load
        </button>
      </form>
      <p id={`${id}-wrong`} class="field-error" role="alert">
        {wrong.value}
      </p>
      <TokenField token={token} />
      <ul class="models" aria-label="Examples">
        {EXAMPLES.map((example) => (
          <li key={example.id}>
            <ModelRow
              icon="download"
              name={example.id}
              note={example.note}
              onClick={() => load(example.id)}
            />
          </li>
        ))}
      </ul>
    </section>
  );
}

/** For repositories that are not open to all. */
function TokenField({ token }: { readonly token: Signal<string> }): JSX.Element {
  return (
    <details>
      <summary>The repository is gated or private</summary>
      <label for="token">Access token</label>
      <input
        id="token"
        class="field"
        type="password"
        autocomplete="off"
        placeholder="hf_…"
        aria-describedby="token-note"
        value={token}
        onInput={(event) => {
          token.value = event.currentTarget.value;
        }}
      />
      <p id="token-note" class="quiet">
        Sent only with the download of this model, and forgotten when the page is closed.
      </p>
    </details>
  );
}
