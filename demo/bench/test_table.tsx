import type { JSX } from 'preact';
import {
  type BenchReport,
  limitFormula,
  parseTest,
  type TestResult,
} from '../../src/bench/index.ts';
import { Limit } from './limit.tsx';
import { describeTest, formatFigure, formatMs, formatMsRange, formatRange } from './wording.ts';

/** Every test of a report: medians with their spread, and how much of the limit each reached. */
export function TestTable({
  report: { results, peaks },
}: {
  readonly report: BenchReport;
}): JSX.Element {
  const hasFirst = results.some(({ firstTokenMs }) => firstTokenMs !== undefined);
  return (
    <div class="table-frame" role="group" aria-label="Tests" tabIndex={0}>
      <table class="figures tests">
        <thead>
          <tr>
            <th scope="col">Test</th>
            <th scope="col">Tokens/s</th>
            {hasFirst && <th scope="col">First token</th>}
            <th scope="col" class="rate">
              Rate
            </th>
          </tr>
        </thead>
        <tbody>
          {results.map((result) => (
            <Row
              key={result.test}
              result={result}
              hasFirst={hasFirst}
              formula={peaks === null ? undefined : limitFormula(result, peaks)}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({
  result,
  hasFirst,
  formula,
}: {
  readonly result: TestResult;
  readonly hasFirst: boolean;
  readonly formula: string | undefined;
}): JSX.Element {
  const { test, tokensPerSecond, textsPerSecond, firstTokenMs, limit } = result;
  const { gigabytesPerSecond, gigaflopsPerSecond } = result;
  return (
    <tr>
      <th scope="row">
        {test}
        <span class="quiet">{describeTest(parseTest(test))}</span>
      </th>
      <td>
        <strong>{formatFigure(tokensPerSecond.median)}</strong>
        <span class="quiet">{formatRange(tokensPerSecond)}</span>
        {textsPerSecond !== undefined && (
          <span class="quiet">{formatFigure(textsPerSecond.median)} texts/s</span>
        )}
        {limit !== undefined && formula !== undefined && (
          <Limit share={limit.share} what={test} formula={formula} />
        )}
      </td>
      {hasFirst && (
        <td>
          {firstTokenMs !== undefined && (
            <>
              {formatMs(firstTokenMs.median)}
              <span class="quiet">{formatMsRange(firstTokenMs)}</span>
            </>
          )}
        </td>
      )}
      <td class="rate">
        {gigabytesPerSecond !== undefined && `${formatFigure(gigabytesPerSecond)} GB/s`}
        {gigaflopsPerSecond !== undefined && `${formatFigure(gigaflopsPerSecond)} GFLOP/s`}
      </td>
    </tr>
  );
}
