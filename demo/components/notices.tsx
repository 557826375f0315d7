import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { BUNDLED } from '../bundled.ts';
import type { Keeping, LoadState } from '../state/types.ts';
import { describeKeeping, describeLimits } from '../wording.ts';
import { Icon } from './icons.tsx';
import { dismissedNotices, dismissNotice } from './ui.ts';

/** What the user should know, until he says that he does. */
export function Notices({
  state,
  keeping,
}: {
  readonly state: LoadState;
  readonly keeping: Keeping;
}): JSX.Element | null {
  // A private window forgets everything anyway: so does this notice, which is there for good reason.
  const isKeepingKnown = useSignal(false);
  const unkept = isKeepingKnown.value ? undefined : describeKeeping(keeping);
  const shown = noticesOf(state).filter((text) => !dismissedNotices.value.includes(text));
  if (shown.length === 0 && unkept === undefined) return null;
  return (
    <ul class="notices" aria-label="Notices">
      {shown.map((text) => (
        <Notice key={text} text={text} onDismiss={() => dismissNotice(text)} />
      ))}
      {unkept !== undefined && (
        <Notice
          text={unkept}
          onDismiss={() => {
            isKeepingKnown.value = true;
          }}
        />
      )}
    </ul>
  );
}

function Notice({
  text,
  onDismiss,
}: {
  readonly text: string;
  readonly onDismiss: () => void;
}): JSX.Element {
  return (
    <li class="notice">
      <Icon name="info" />
      <p>{text}</p>
      <button
        type="button"
        class="icon-button small"
        aria-label={`Dismiss: ${text}`}
        title="Dismiss"
        onClick={onDismiss}
      >
        <Icon name="close" />
      </button>
    </li>
  );
}

function noticesOf(state: LoadState): readonly string[] {
  if (state.kind !== 'ready') return [];
  const toy = state.choice.kind === 'bundled' ? [BUNDLED.notice] : [];
  return [...toy, ...describeLimits(state.stats)];
}
