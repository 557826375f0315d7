import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { Icon } from './icons.tsx';

/** Takes files that are dropped anywhere on the page, and says so while they hover. */
export function DropTarget({
  text,
  onDrop,
}: {
  /** What to drop. */
  readonly text: string;
  readonly onDrop: (transfer: DataTransfer) => void;
}): JSX.Element | null {
  const isOver = useSignal(false);
  useEffect(() => {
    const listening = new AbortController();
    const { signal } = listening;
    document.addEventListener(
      'dragover',
      (event) => {
        if (!holdsFiles(event)) return;
        event.preventDefault();
        isOver.value = true;
      },
      { signal },
    );
    document.addEventListener(
      'dragleave',
      ({ relatedTarget }) => {
        if (relatedTarget === null) isOver.value = false;
      },
      { signal },
    );
    document.addEventListener(
      'drop',
      (event) => {
        isOver.value = false;
        if (event.dataTransfer === null || !holdsFiles(event)) return;
        event.preventDefault();
        onDrop(event.dataTransfer);
      },
      { signal },
    );
    return () => listening.abort();
  }, [isOver, onDrop]);
  if (!isOver.value) return null;
  return (
    <div class="drop-target">
      <Icon name="folder" />
      <p>{text}</p>
    </div>
  );
}

/** Only files: text can still be dragged into the message. */
function holdsFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes('Files') === true;
}
