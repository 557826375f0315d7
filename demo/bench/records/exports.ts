/** Reports as files, as a link, and on the clipboard. @module */
import {
  type BenchReport,
  reportsCsv,
  reportSet,
  reportsMarkdown,
} from '../../../src/bench/index.ts';
import { copyText } from '../../components/clipboard.ts';
import type { MenuItem } from '../../components/popover.tsx';
import { fileName, saveFile } from '../../components/save_file.ts';
import { showToast } from '../../components/ui.ts';
import { pictureOfReports } from '../plots/picture.ts';
import { linkOf } from './share_link.ts';

/** Menu items that hand out reports. */
export function exportItems(reports: readonly BenchReport[], name: string): readonly MenuItem[] {
  const save = (extension: string, type: string, text: string): void =>
    saveFile(fileName(name, extension), text, type);
  return [
    {
      label: 'Copy as Markdown',
      icon: 'copy',
      run: () => void copyText(reportsMarkdown(reports)),
    },
    { label: 'Copy a link', icon: 'link', run: () => void copyLink(reports) },
    {
      label: 'Save as JSON',
      icon: 'download',
      run: () =>
        save('json', 'application/json', `${JSON.stringify(reportSet(reports), undefined, 2)}\n`),
    },
    {
      label: 'Save as CSV',
      icon: 'download',
      run: () => save('csv', 'text/csv', reportsCsv(reports)),
    },
    {
      label: 'Save as Markdown',
      icon: 'download',
      run: () => save('md', 'text/markdown', reportsMarkdown(reports)),
    },
    { label: 'Save as a picture', icon: 'download', run: () => void savePicture(reports, name) },
  ];
}

async function copyLink(reports: readonly BenchReport[]): Promise<void> {
  try {
    await copyText(await linkOf(reports, location.href));
  } catch (error) {
    showToast({ text: error instanceof Error ? error.message : String(error), durationMs: 8000 });
  }
}

async function savePicture(reports: readonly BenchReport[], name: string): Promise<void> {
  try {
    const picture = await pictureOfReports(reports, name);
    saveFile(fileName(name, 'png'), picture, 'image/png');
  } catch (error) {
    showToast({ text: error instanceof Error ? error.message : String(error), durationMs: 6000 });
  }
}
