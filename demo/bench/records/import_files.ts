import { parseReports } from '../../../src/bench/index.ts';
import { showToast } from '../../components/ui.ts';
import type { BenchRecord, RecordStore } from './record_store.ts';

/**
 * Reads files of reports into the store, and says which could not be read.
 *
 * @returns the last record; undefined if there is none
 */
export async function importFiles(
  store: RecordStore,
  files: readonly File[],
): Promise<BenchRecord | undefined> {
  let last: BenchRecord | undefined;
  for (const file of files) {
    try {
      last = store.add(parseReports(await file.text()), 'imported');
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      showToast({ text: `${file.name} was not imported: ${why}`, durationMs: 10_000 });
    }
  }
  return last;
}
