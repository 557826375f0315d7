import type { JSX } from 'preact';
import { Popover } from '../components/popover.tsx';
import { formatPercent } from './wording.ts';

/** How much of a limit a figure reached; tells the limit's formula when pressed. */
export function Limit({
  share,
  what,
  formula,
}: {
  readonly share: number;
  /** What reached it. */
  readonly what: string;
  /** With the numbers put in. */
  readonly formula: string;
}): JSX.Element {
  const percent = formatPercent(share);
  return (
    <Popover
      label={`${what}: ${percent} of the limit. Show the formula`}
      buttonClass="limit"
      panelClass="details formula"
      panelRole="dialog"
      button={`${percent} of the limit`}
    >
      {() => (
        <>
          <h2>{what}: the limit</h2>
          <pre tabIndex={0}>{formula}</pre>
          <p class="quiet">
            {share > 1
              ? 'More than all of it: caches spared part of the work that the limit counts.'
              : 'The limit follows from what this device was measured to do at most, right before.'}
          </p>
        </>
      )}
    </Popover>
  );
}
