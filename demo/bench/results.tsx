import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { adapterName, type BenchReport } from '../../src/bench/index.ts';
import { Icon } from '../components/icons.tsx';
import { formatCount } from '../wording.ts';
import { CallsTable, KernelTables } from './detail_tables.tsx';
import { DeviceSection } from './device_section.tsx';
import { Plots } from './plots/plots.tsx';
import { nameOfReport } from './models.ts';
import { ExportMenu } from './records/export_menu.tsx';
import type { BenchRecord } from './records/record_store.ts';
import { hasNews, lastRun } from './state.ts';
import { Glossary } from './glossary.tsx';
import { sentence } from './wording.ts';
import { TestTable } from './test_table.tsx';
import { Tiles } from './tiles.tsx';

/** What was measured: the figures and their doubts, plots, and the device. */
export function Results({ record }: { readonly record: BenchRecord }): JSX.Element {
  const { name, reports } = record;
  const ref = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // Whoever waited for it, or asked for it, is taken there.
    if (!hasNews.peek()) return;
    hasNews.value = false;
    ref.current?.focus();
    ref.current?.scrollIntoView({ block: 'start' });
  }, [record]);
  return (
    <section class="results" aria-labelledby="results-title">
      <div class="results-head">
        <h2 id="results-title" ref={ref} tabIndex={-1}>
          {record.origin === 'measured' && lastRun.value?.reports === reports ? 'Results' : name}
        </h2>
        <ExportMenu reports={reports} name={name} />
      </div>
      {reports.map((report) => (
        <ReportSection
          key={`${report.date} ${report.model.name} ${report.model.form}`}
          report={report}
        />
      ))}
      <Plots reports={reports} />
      <DeviceSection reports={reports} />
      <Glossary />
    </section>
  );
}

function ReportSection({ report }: { readonly report: BenchReport }): JSX.Element {
  const { model, adapter, notes, doubts, settings } = report;
  const facts = [
    `${formatCount(model.parameters)} weights${model.isMadeUp ? ', made up' : ''}`,
    adapterName(adapter),
    settings.repetitions === 1 ? 'measured once' : `median of ${settings.repetitions} repetitions`,
  ];
  return (
    <article class="report" aria-label={nameOfReport(report)}>
      <h3>{nameOfReport(report)}</h3>
      <p class="quiet">{facts.join(' · ')}</p>
      <Doubts report={report} />
      {notes.length > 0 && (
        <ul class="quiet">
          {notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
      <Tiles report={report} />
      <TestTable report={report} />
      <CallsTable report={report} />
      <KernelTables report={report} />
      {doubts.length === 0 && (
        <p class="quiet">
          Nothing stood out: the runs agree, the page stayed in front, and the device was as fast at
          the end as at the beginning.
        </p>
      )}
    </article>
  );
}

/** What cannot be trusted, and why. */
function Doubts({ report: { doubts } }: { readonly report: BenchReport }): JSX.Element | null {
  if (doubts.length === 0) return null;
  return (
    <section class="notice doubts" aria-label="What cannot be trusted">
      <Icon name="warning" />
      <div>
        <h4>Not all of this can be trusted</h4>
        <ul>
          {doubts.map(({ kind, test, message }) => (
            <li key={`${kind} ${test ?? ''}`}>
              {test === undefined ? sentence(message) : `${test}: ${message}.`}
            </li>
          ))}
        </ul>
      </div>
    </section>
  );
}
