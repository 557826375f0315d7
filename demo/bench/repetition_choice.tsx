import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { plan } from './address.ts';

/** More than this is a slip of the pen. */
const MOST = 100;

/** How often, and how closely. */
export function RepetitionChoice(): JSX.Element {
  const isWrong = useSignal(false);
  const { repetitions, profiles } = plan.value;
  return (
    <fieldset class="choice">
      <legend>How closely</legend>
      <div class="setting">
        <label for="repetitions">Repetitions</label>
        <input
          id="repetitions"
          class="field"
          type="number"
          inputMode="numeric"
          min={1}
          max={MOST}
          value={repetitions}
          aria-describedby="repetitions-note"
          aria-invalid={isWrong.value}
          onInput={({ currentTarget: { valueAsNumber: count } }) => {
            isWrong.value = !(Number.isInteger(count) && count >= 1 && count <= MOST);
            if (!isWrong.value) plan.value = { ...plan.peek(), repetitions: count };
          }}
        />
        <p id="repetitions-note" class="quiet">
          The figures are medians, with the least and the most beside them.
        </p>
        {isWrong.value && (
          <p class="field-error" role="alert">
            Enter a whole number from 1 to {MOST}; until then the last one holds.
          </p>
        )}
      </div>
      <label class="option">
        <input
          type="checkbox"
          checked={profiles}
          onChange={({ currentTarget: { checked } }) => {
            plan.value = { ...plan.peek(), profiles: checked };
          }}
        />
        <span>
          Measure every kernel by itself
          <span class="quiet">Shows where the time goes; takes some seconds more</span>
        </span>
      </label>
    </fieldset>
  );
}
