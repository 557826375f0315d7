import type { JSX } from 'preact';
import { DropTarget } from '../../components/drop_target.tsx';
import { Icon } from '../../components/icons.tsx';
import { pickFiles } from '../../components/save_file.ts';
import { showToast } from '../../components/ui.ts';
import { Comparison } from './comparison.tsx';
import { importFiles } from './import_files.ts';
import { RecordRow } from './record_row.tsx';
import { compared } from '../state.ts';
import { type BenchRecord, type RecordStore, UNDO_MS } from './record_store.ts';

/** Runs of this page and of imported files: to open again, to compare, to hand out. */
export function Records({
  store,
  current,
  onShow,
}: {
  readonly store: RecordStore;
  /** Id of the record that the page shows. */
  readonly current: string | undefined;
  readonly onShow: (record: BenchRecord) => void;
}): JSX.Element {
  const list = store.list.value;
  // What was deleted meanwhile is not compared; in the order they were made.
  const chosen = list.filter(({ id }) => compared.value.has(id)).toReversed();
  async function take(files: readonly File[]): Promise<void> {
    const last = await importFiles(store, files);
    if (last !== undefined) onShow(last);
  }
  function choose(id: string, isChosen: boolean): void {
    const ids = new Set(compared.peek());
    if (isChosen) ids.add(id);
    else ids.delete(id);
    compared.value = ids;
  }
  return (
    <section class="records" aria-labelledby="records-title">
      <div class="records-head">
        <h2 id="records-title">Earlier runs</h2>
        <button
          id="import"
          type="button"
          class="button"
          onClick={() => void pickFiles('.json,application/json', true).then(take)}
        >
          <Icon name="upload" />
          Import…
        </button>
      </div>
      <p class="quiet">{adviceFor(list.length, chosen.length)}</p>
      {store.trouble.value !== undefined && (
        <div class="notice">
          <Icon name="warning" />
          <p>Runs are kept only until this page is closed: {store.trouble.value}.</p>
        </div>
      )}
      {list.length > 0 && (
        <ul class="record-list">
          {list.map((record) => (
            <RecordRow
              key={record.id}
              record={record}
              isCurrent={record.id === current}
              isChosen={compared.value.has(record.id)}
              onChoose={(isChosen) => choose(record.id, isChosen)}
              onOpen={() => onShow(record)}
              onRename={(name) => store.rename(record.id, name)}
              onDelete={() => deleteRecord(store, record)}
            />
          ))}
        </ul>
      )}
      {chosen.length > 1 && <Comparison records={chosen} />}
      <DropTarget
        text="Drop files of benchmark results"
        onDrop={(transfer) => void take([...transfer.files])}
      />
    </section>
  );
}

function adviceFor(count: number, chosen: number): string {
  if (count === 0) {
    return 'Runs are kept on this device and appear here. Drop result files on the page, or import them, to compare with other devices.';
  }
  if (chosen === 1) return 'Check one more run to compare.';
  return 'Kept on this device. Check two or more to compare them.';
}

function deleteRecord(store: RecordStore, { id, name }: BenchRecord): void {
  store.delete([id]);
  showToast({
    text: `Deleted “${name}”`,
    action: { label: 'Undo', run: () => store.restore([id]) },
    durationMs: UNDO_MS,
  });
}
