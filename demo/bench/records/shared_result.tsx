import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { Icon } from '../../components/icons.tsx';
import { showToast } from '../../components/ui.ts';
import { type BenchRecord, newRecord, type RecordStore } from './record_store.ts';
import { isResultLink, reportsOf } from './share_link.ts';

/** Shows the result that the page's address holds, and offers to keep it: until then it is stored nowhere. */
export function SharedResult({
  store,
  onShow,
}: {
  readonly store: RecordStore;
  /** Told of the result, and of undefined when it is dismissed. */
  readonly onShow: (record: BenchRecord | undefined) => void;
}): JSX.Element | null {
  const shared = useSignal<BenchRecord | undefined>(undefined);
  useEffect(() => {
    const open = (): void => {
      if (!isResultLink(location.hash)) return;
      void read(location.hash).then((record) => {
        shared.value = record;
        if (record !== undefined) onShow(record);
      });
    };
    open();
    addEventListener('hashchange', open);
    return () => removeEventListener('hashchange', open);
  }, [shared, onShow]);
  const record = shared.value;
  if (record === undefined) return null;
  function close(): void {
    shared.value = undefined;
    // What is no longer shown must not come back with a reload.
    history.replaceState(null, '', location.pathname + location.search);
  }
  return (
    <section class="notice shared-result" aria-label="Shared result">
      <Icon name="link" />
      <p>
        <strong>Shared result: {record.name}.</strong> It came with the link and was measured
        elsewhere. Nothing of it is kept here unless you keep it.
      </p>
      <div class="buttons">
        <button
          type="button"
          class="button"
          onClick={() => {
            onShow(store.keep(record));
            close();
          }}
        >
          Keep
        </button>
        <button
          type="button"
          class="button"
          onClick={() => {
            close();
            onShow(undefined);
          }}
        >
          Dismiss
        </button>
      </div>
    </section>
  );
}

async function read(hash: string): Promise<BenchRecord | undefined> {
  try {
    return newRecord(await reportsOf(hash), 'shared');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    showToast({ text: `The shared result cannot be shown. ${why}`, durationMs: 12_000 });
    return undefined;
  }
}
