import type { JSX } from 'preact';
import { nameOfChoice } from '../state/model_choice.ts';
import type { LoadState, Progress } from '../state/types.ts';
import { describeProgress } from '../wording.ts';

/** What is being loaded, how far it is, and how long it takes. */
export function Loading({
  state: { choice, progress },
  onCancel,
}: {
  readonly state: Extract<LoadState, { kind: 'loading' }>;
  readonly onCancel: () => void;
}): JSX.Element {
  const share = shareOf(progress);
  return (
    <section class="loading" aria-label="Loading the model">
      <p class="loading-head">
        <span>Loading {nameOfChoice(choice)}</span>
        {share !== undefined && <span>{Math.floor(100 * share)}%</span>}
      </p>
      <progress aria-label={`Loading ${nameOfChoice(choice)}`} value={share} max={1} />
      <p class="loading-detail">
        {progress === undefined ? 'Starting' : describeProgress(progress)}
      </p>
      <button type="button" class="button" onClick={onCancel}>
        Cancel
      </button>
    </section>
  );
}

function shareOf(progress: Progress | undefined): number | undefined {
  if (progress?.phase !== 'weights' || progress.totalBytes === 0) return undefined;
  return progress.loadedBytes / progress.totalBytes;
}
