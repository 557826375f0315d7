import { parseReports } from '../../../src/bench/index.ts';
import { showToast } from '../../components/ui.ts';
import type { BenchRecord, RecordStore } from './record_store.ts';

/**
 * Reads files of reports into the store, and says which could not be read, or are there already.
 *
 * @returns the record of the last one; undefined if there is none
 */
export async function importFiles(
  store: RecordStore,
  files: readonly File[],
): Promise<BenchRecord | undefined> {
  let last: BenchRecord | undefined;
  for (const file of files) {
    try {
      const reports = parseReports(await file.text());
      const known = store.find(reports);
      if (known !== undefined) showToast({ text: `${file.name} is here already: “${known.name}”` });
      last = known ?? store.add(reports, 'imported');
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      showToast({ text: `${file.name} was not imported: ${why}`, durationMs: 10_000 });
    }
  }
  return last;
}
