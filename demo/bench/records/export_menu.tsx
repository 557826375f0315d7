import type { JSX } from 'preact';
import type { BenchReport } from '../../../src/bench/index.ts';
import { Icon } from '../../components/icons.tsx';
import { Menu } from '../../components/popover.tsx';
import { exportItems } from './exports.ts';

/** A button that hands out reports as files, as a link, or to the clipboard. */
export function ExportMenu({
  reports,
  name,
}: {
  readonly reports: readonly BenchReport[];
  readonly name: string;
}): JSX.Element {
  return (
    <Menu
      label="Save or share"
      buttonClass="button"
      button={
        <>
          <Icon name="download" />
          Save or share
        </>
      }
      items={exportItems(reports, name)}
    />
  );
}
