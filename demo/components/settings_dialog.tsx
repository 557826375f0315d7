import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useId } from 'preact/hooks';
import type { Settings } from '../state/types.ts';
import { closeDialog, Dialog } from './dialog.tsx';
import { usePage } from './page.ts';

interface Parameter {
  readonly key: keyof Settings;
  readonly name: string;
  readonly explanation: string;
  /** What the field shows where the model says nothing. */
  readonly otherwise?: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly isInteger: boolean;
}

/** Ranges are the engine's, but for `temperature`, of which more than 2 only makes noise. */
const PARAMETERS: readonly Parameter[] = [
  {
    key: 'temperature',
    name: 'Temperature',
    explanation:
      'How daring the choice of words is. 0 always takes the likeliest word; above 1 replies become wild.',
    min: 0,
    max: 2,
    step: 0.1,
    isInteger: false,
  },
  {
    key: 'top_p',
    name: 'Top p',
    explanation:
      'Only the likeliest words that together make up this share are considered. 1 considers all.',
    min: 0,
    max: 1,
    step: 0.05,
    isInteger: false,
  },
  {
    key: 'top_k',
    name: 'Top k',
    explanation: 'Only this many of the likeliest words are considered. 0 considers all.',
    min: 0,
    max: 2 ** 31 - 1,
    step: 1,
    isInteger: true,
  },
  {
    key: 'min_p',
    name: 'Min p',
    explanation:
      'Words less likely than this share of the likeliest one are left out. 0 leaves none out.',
    min: 0,
    max: 1,
    step: 0.01,
    isInteger: false,
  },
  {
    key: 'repetition_penalty',
    name: 'Repetition penalty',
    explanation: 'Above 1, words that have been said become less likely. 1 changes nothing.',
    min: 0.01,
    max: 100,
    step: 0.05,
    isInteger: false,
  },
  {
    key: 'max_tokens',
    name: 'Longest reply',
    explanation: 'In tokens; a token is a word or a part of one. Empty: until the context is full.',
    otherwise: 'no limit',
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    step: 1,
    isInteger: true,
  },
  {
    key: 'seed',
    name: 'Seed',
    explanation:
      'The same seed gives the same reply to the same messages. Empty: another one each time.',
    otherwise: 'random',
    min: Number.MIN_SAFE_INTEGER,
    max: Number.MAX_SAFE_INTEGER,
    step: 1,
    isInteger: true,
  },
];

/** System prompt and sampling options of the chat that is shown. */
export function SettingsDialog(): JSX.Element {
  const { chat, host } = usePage();
  const state = host.state.value;
  const defaults: Settings = 'stats' in state ? state.stats.model.defaults : {};
  const { settings, systemPrompt } = chat.conversation.value;
  const isDefault = Object.keys(settings).length === 0;
  return (
    <Dialog
      name="settings"
      title="Settings of this chat"
      foot={
        <>
          <button
            type="button"
            class="button"
            disabled={isDefault}
            onClick={() => chat.setSettings({})}
          >
            Reset to the model’s own
          </button>
          <button type="button" class="button primary" onClick={closeDialog}>
            Done
          </button>
        </>
      }
    >
      <section>
        <label for="system-prompt">System prompt</label>
        <p id="system-prompt-note" class="quiet">
          Said to the model before the conversation: who it is, and how it answers. Tiny models
          hardly heed it.
        </p>
        <textarea
          id="system-prompt"
          class="field"
          rows={3}
          placeholder="None"
          aria-describedby="system-prompt-note"
          value={systemPrompt}
          onInput={(event) => chat.setSystemPrompt(event.currentTarget.value)}
        />
      </section>
      <section aria-labelledby="sampling">
        <h3 id="sampling">How words are chosen</h3>
        <p class="quiet">
          The gray figures are the model’s own, and hold while a field is empty. Changes hold from
          the next reply on.
        </p>
        <div>
          {PARAMETERS.map((parameter) => (
            <SettingField
              key={parameter.key}
              parameter={parameter}
              value={settings[parameter.key]}
              placeholder={defaults[parameter.key]?.toString() ?? parameter.otherwise ?? 'auto'}
              onChange={(value) => {
                const { [parameter.key]: _, ...others } = settings;
                chat.setSettings(
                  value === undefined ? others : { ...others, [parameter.key]: value },
                );
              }}
            />
          ))}
        </div>
      </section>
    </Dialog>
  );
}

function SettingField({
  parameter: { name, explanation, min, max, step, isInteger },
  value,
  placeholder,
  onChange,
}: {
  readonly parameter: Parameter;
  readonly value: number | undefined;
  /** What holds while the field is empty. */
  readonly placeholder: string;
  readonly onChange: (value: number | undefined) => void;
}): JSX.Element {
  const id = useId();
  const wrong = useSignal<string | undefined>(undefined);
  return (
    <div class="setting">
      <label for={id}>{name}</label>
      <input
        id={id}
        class="field"
        type="number"
        inputMode={isInteger && min >= 0 ? 'numeric' : 'decimal'}
        min={min}
        max={max}
        step={step}
        placeholder={placeholder}
        aria-describedby={`${id}-note`}
        aria-invalid={wrong.value !== undefined}
        value={value ?? ''}
        onInput={({ currentTarget: { value: text, valueAsNumber: number, validity } }) => {
          // What is not a number arrives as an empty text.
          wrong.value =
            validity.badInput || (text !== '' && !isWithin(number, min, max, isInteger))
              ? describeRange(min, max, isInteger)
              : undefined;
          if (wrong.value === undefined) onChange(text === '' ? undefined : number);
        }}
      />
      <p id={`${id}-note`} class="quiet">
        {explanation}
      </p>
      {wrong.value !== undefined && (
        <p class="field-error" role="alert">
          {wrong.value}
        </p>
      )}
    </div>
  );
}

function isWithin(number: number, min: number, max: number, isInteger: boolean): boolean {
  return number >= min && number <= max && (!isInteger || Number.isInteger(number));
}

function describeRange(min: number, max: number, isInteger: boolean): string {
  const kind = isInteger ? 'a whole number' : 'a number';
  if (max < 2 ** 31 - 1)
    return `Enter ${kind} from ${min} to ${max}; until then the last one holds.`;
  const bound = min < 0 ? '' : `, ${min} or more`;
  return `Enter ${kind}${bound}; until then the last one holds.`;
}
