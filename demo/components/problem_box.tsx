import type { JSX } from 'preact';
import { type Action, ACTION_NAMES, type Problem } from '../problem.ts';
import { Icon } from './icons.tsx';

/** What went wrong, what to do about it, and buttons that do it. */
export function ProblemBox({
  problem: { title, advice, detail, actions },
  onAction,
}: {
  readonly problem: Problem;
  readonly onAction: (action: Action) => void;
}): JSX.Element {
  return (
    <section class="problem" id="problem" role="alert">
      <h2>
        <Icon name="warning" />
        {title}
      </h2>
      {advice.map((sentence) => (
        <p key={sentence}>{sentence}</p>
      ))}
      {detail !== undefined && (
        <details open={detail.length < 400}>
          <summary>What the engine said</summary>
          {/* Long ones scroll, also by the keyboard. */}
          <pre tabIndex={0}>{detail}</pre>
        </details>
      )}
      {actions.length > 0 && (
        <div class="actions-row">
          {actions.map((action, index) => (
            <button
              key={action}
              type="button"
              class={index === 0 ? 'button primary' : 'button'}
              onClick={() => onAction(action)}
            >
              {ACTION_NAMES[action]}
            </button>
          ))}
        </div>
      )}
    </section>
  );
}
