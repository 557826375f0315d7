import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useId, useMemo } from 'preact/hooks';
import type { Comparison as Compared, Spread } from '../../../src/bench/index.ts';
import { nameOfReport } from '../models.ts';
import { Plots } from '../plots/plots.tsx';
import { formatFigure, formatRange } from '../wording.ts';
import { type ComparedReport, compareWith, letteredReports } from './comparison_data.ts';
import { labelsOf } from './naming.ts';
import type { BenchRecord } from './record_store.ts';

/** Records side by side: each figure against that of one of them, and plots of all. */
export function Comparison({
  records,
}: {
  /** Two at least. */
  readonly records: readonly BenchRecord[];
}): JSX.Element {
  const baseId = useSignal<string | undefined>(undefined);
  const selectId = useId();
  const base = records.find(({ id }) => id === baseId.value) ?? records[0];
  // Plots are drawn anew only for other records, not for another list of the same.
  const key = records.map(({ id, name }) => `${id} ${name}`).join('\n');
  const lettered = useMemo(() => letteredReports(records), [key]);
  const reports = useMemo(() => lettered.map(({ report }) => report), [lettered]);
  const labels = labelsOf(reports);
  const compared = base === undefined ? [] : compareWith(base, lettered);
  return (
    <section class="comparison" aria-labelledby="comparison-title">
      <h3 id="comparison-title">Comparison</h3>
      <ul class="comparison-key">
        {lettered.map(({ letter, record }, i) => (
          <li key={letter}>
            <strong>{letter}</strong>
            <span>
              {labels[i]} <span class="quiet">in “{record.name}”</span>
            </span>
          </li>
        ))}
      </ul>
      <div class="row">
        <label for={selectId}>Held against</label>
        <select
          id={selectId}
          class="field"
          value={base?.id}
          onChange={(event) => {
            baseId.value = event.currentTarget.value;
          }}
        >
          {records.map((record) => (
            <option key={record.id} value={record.id}>
              {lettered.find((one) => one.record === record)?.letter} {record.name}
            </option>
          ))}
        </select>
      </div>
      {compared.length === 0 && (
        <p class="quiet">
          The others have no test of the same model in the same form: ratios would say little. The
          plots show all of them.
        </p>
      )}
      {compared.map((one) => (
        <ComparedTable key={one.base.letter} compared={one} />
      ))}
      <Plots reports={reports} />
    </section>
  );
}

function ComparedTable({
  compared: { base, others, tests },
}: {
  readonly compared: ComparedReport;
}): JSX.Element {
  const title = nameOfReport(base.report);
  const notes = others.filter(({ differences }) => differences.length > 0);
  return (
    <div>
      <div class="table-frame" role="group" aria-label={`Comparison of ${title}`} tabIndex={0}>
        <table class="figures">
          <caption>{title}, tokens per second</caption>
          <thead>
            <tr>
              <th scope="col">Test</th>
              <th scope="col">{base.letter}</th>
              {others.map(({ letter }) => (
                <th scope="col" key={letter}>
                  {letter} against {base.letter}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {tests.map((test) => (
              <tr key={test}>
                <th scope="row">{test}</th>
                <td>
                  <Figures
                    spread={
                      base.report.results.find((result) => result.test === test)?.tokensPerSecond
                    }
                  />
                </td>
                {others.map(({ letter, comparisons }) => (
                  <td key={letter}>
                    <Against compared={comparisons.find((one) => one.test === test)} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {notes.length > 0 && (
        <ul class="quiet">
          {notes.map(({ letter, differences }) => (
            <li key={letter}>
              {base.letter}, then {letter}: {differences.join('; ')}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Figures({ spread }: { readonly spread: Spread | undefined }): JSX.Element {
  if (spread === undefined) return <>–</>;
  return (
    <>
      <strong>{formatFigure(spread.median)}</strong>
      <span class="quiet">{formatRange(spread)}</span>
    </>
  );
}

const VERDICTS: Readonly<Record<Compared['verdict'], string>> = {
  faster: 'faster',
  slower: 'slower',
  'same within the spread': 'within the spread',
  unclear: 'too few repetitions to say',
};

/** The figure of another report, how many times the base's it is, and whether that is more than chance. */
function Against({ compared }: { readonly compared: Compared | undefined }): JSX.Element {
  if (compared === undefined) return <>–</>;
  const { b, ratio, verdict } = compared;
  return (
    <>
      <Figures spread={b} />
      <span class={`verdict ${verdict === 'faster' || verdict === 'slower' ? verdict : ''}`}>
        {formatFigure(ratio)} × · {VERDICTS[verdict]}
      </span>
    </>
  );
}
