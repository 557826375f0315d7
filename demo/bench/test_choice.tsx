import { useSignal } from '@preact/signals';
import type { JSX, TargetedSubmitEvent } from 'preact';
import { useId } from 'preact/hooks';
import { type BenchTest, parseTest, testName } from '../../src/bench/index.ts';
import { Icon } from '../components/icons.tsx';
import { plan } from './address.ts';
import { describeTest } from './wording.ts';

const KINDS: readonly { readonly kind: BenchTest['kind']; readonly name: string }[] = [
  { kind: 'prefill', name: 'Prompt' },
  { kind: 'decode', name: 'Reply' },
  { kind: 'encode', name: 'Texts' },
];

/** What each model is asked. */
export function TestChoice(): JSX.Element {
  const tests = plan.value.tests ?? [];
  const setTests = (changed: readonly string[]): void => {
    plan.value = { ...plan.peek(), tests: changed };
  };
  return (
    <fieldset class="choice">
      <legend>Tests</legend>
      <p class="quiet">
        Under the names that llama-bench gives them. Models that write text have prompts and
        replies, those that read texts for search have texts; each runs what suits it.
      </p>
      {plan.value.tests === undefined && <p>The usual ones of each model.</p>}
      <ul class="test-list">
        {tests.map((test) => (
          <li key={test}>
            <code>{test}</code>
            <span>{describeTest(parseTest(test))}</span>
            <button
              type="button"
              class="icon-button small"
              aria-label={`Remove ${test}`}
              title="Remove"
              onClick={(event) => {
                // The button goes with its line.
                const list = event.currentTarget.closest('fieldset');
                setTests(tests.filter((other) => other !== test));
                list?.querySelector<HTMLElement>('select')?.focus();
              }}
            >
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
      <NewTest onAdd={(test) => setTests([...new Set([...tests, test])])} />
    </fieldset>
  );
}

function NewTest({ onAdd }: { readonly onAdd: (test: string) => void }): JSX.Element {
  const kind = useSignal<BenchTest['kind']>('prefill');
  const hasDepth = kind.value !== 'encode';
  const hasTimes = kind.value !== 'prefill';
  return (
    <form class="new-test" onSubmit={(event) => onAdd(testOf(event, kind.peek()))}>
      <label>
        <span class="label">Kind</span>
        <select
          class="field"
          value={kind}
          onChange={({ currentTarget: { value } }) => {
            kind.value = KINDS.find((one) => one.kind === value)?.kind ?? 'prefill';
          }}
        >
          {KINDS.map(({ kind, name }) => (
            <option key={kind} value={kind}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <NumberField name="tokens" label="Tokens" min={2} value={128} />
      {hasDepth && <NumberField name="depth" label="Tokens before" min={0} value={0} />}
      {hasTimes && <NumberField name="times" label="At once" min={1} value={1} />}
      <button type="submit" class="button">
        Add
      </button>
    </form>
  );
}

function NumberField({
  name,
  label,
  min,
  value,
}: {
  readonly name: string;
  readonly label: string;
  readonly min: number;
  readonly value: number;
}): JSX.Element {
  const id = useId();
  return (
    <div>
      <label for={id}>{label}</label>
      <input
        id={id}
        class="field"
        type="number"
        inputMode="numeric"
        name={name}
        min={min}
        max={2 ** 20}
        required
        defaultValue={String(value)}
      />
    </div>
  );
}

/** The name of the test that the fields describe; the browser has checked their ranges. */
function testOf(event: TargetedSubmitEvent<HTMLFormElement>, kind: BenchTest['kind']): string {
  event.preventDefault();
  const data = new FormData(event.currentTarget);
  const field = (name: string, otherwise: number): number => Number(data.get(name) ?? otherwise);
  const [tokens, depth, times] = [field('tokens', 2), field('depth', 0), field('times', 1)];
  switch (kind) {
    case 'prefill':
      return testName({ kind, tokens, depth });
    case 'decode':
      return testName({ kind, tokens, depth, streams: times });
    case 'encode':
      return testName({ kind, tokens, texts: times });
  }
}
