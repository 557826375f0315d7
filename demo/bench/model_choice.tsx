import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { PlanTarget } from '../../src/bench/index.ts';
import { parseLocation } from '../state/model_choice.ts';
import { chooseTargets, forms, models } from './address.ts';
import { FORMS, isDownload, OFFERS } from './models.ts';

/** Which models, in which forms: every one in every form. */
export function ModelChoice(): JSX.Element {
  const isOffered = (model: string): boolean => OFFERS.some((offer) => offer.model === model);
  const others = models.value.filter((model) => !isOffered(model));
  const otherForms = forms.value.filter((form) => FORMS.every((offer) => offer.form !== form));
  const toggleForm = (form: PlanTarget['weights']): void =>
    chooseTargets(models.peek(), toggled(forms.peek(), form));
  const setModels = (chosen: readonly string[]): void => chooseTargets(chosen, forms.peek());
  const toggleModel = (model: string): void => setModels(toggled(models.peek(), model));
  return (
    <>
      <fieldset class="choice">
        <legend>Models</legend>
        <p class="quiet">
          Made up in the sizes of well-known ones: their speed is the same, and there is nothing to
          download.
        </p>
        <div class="options">
          {OFFERS.map(({ model, name, note }) => (
            <Option
              key={model}
              name={name}
              note={note}
              isChosen={models.value.includes(model)}
              onToggle={() => toggleModel(model)}
            />
          ))}
          {others.map((model) => (
            <Option
              key={model}
              name={model}
              note={isDownload(model) ? 'is downloaded' : 'made up'}
              isChosen
              onToggle={() => toggleModel(model)}
            />
          ))}
        </div>
        <Repository onAdd={(model) => setModels([...new Set([...models.peek(), model])])} />
      </fieldset>
      <fieldset class="choice">
        <legend>Weights</legend>
        <div class="options narrow">
          {FORMS.map(({ form, name }) => (
            <Option
              key={form}
              name={name}
              note={form}
              isChosen={forms.value.includes(form)}
              onToggle={() => toggleForm(form)}
            />
          ))}
          {otherForms.map((form) => (
            <Option
              key={form}
              name={form}
              note={form === 'auto' ? 'what suits each model' : 'only made up'}
              isChosen
              onToggle={() => toggleForm(form)}
            />
          ))}
        </div>
      </fieldset>
    </>
  );
}

/** A line that can be checked. */
function Option({
  name,
  note,
  isChosen,
  onToggle,
}: {
  readonly name: string;
  readonly note: string;
  readonly isChosen: boolean;
  readonly onToggle: () => void;
}): JSX.Element {
  return (
    <label class="option">
      <input type="checkbox" checked={isChosen} onChange={onToggle} />
      <span>
        {name}
        <span class="quiet">{note}</span>
      </span>
    </label>
  );
}

function Repository({ onAdd }: { readonly onAdd: (model: string) => void }): JSX.Element {
  const text = useSignal('');
  const wrong = useSignal<string | undefined>(undefined);
  return (
    <>
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          const choice = parseLocation(text.peek());
          if (typeof choice === 'string') wrong.value = choice;
          else if (choice.kind === 'remote') {
            onAdd(choice.location);
            text.value = '';
          }
        }}
      >
        <label class="visually-hidden" for="repository">
          Another model: name of a repository, or address of a folder
        </label>
        <input
          id="repository"
          class="field"
          type="text"
          placeholder="Another: owner/name or https://…"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          aria-invalid={wrong.value !== undefined}
          aria-describedby="repository-wrong"
          value={text}
          onInput={(event) => {
            text.value = event.currentTarget.value;
            wrong.value = undefined;
          }}
        />
        <button type="submit" class="button">
          Add
        </button>
      </form>
      <p id="repository-wrong" class="field-error" role="alert">
        {wrong.value}
      </p>
    </>
  );
}

function toggled<T>(items: readonly T[], item: T): readonly T[] {
  return items.includes(item) ? items.filter((other) => other !== item) : [...items, item];
}
