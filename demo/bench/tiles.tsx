import type { ComponentChildren, JSX } from 'preact';
import { type BenchReport, limitFormula, type TestResult } from '../../src/bench/index.ts';
import { formatBytes } from '../wording.ts';
import { Limit } from './limit.tsx';
import { formatFigure, formatMs, formatMsRange, formatRange } from './wording.ts';

const MEMORY_OF = {
  heap: 'JavaScript’s heap',
  process: 'all of the process',
  page: 'the page with its workers',
} as const;

/** The figures that most people ask for. */
export function Tiles({ report }: { readonly report: BenchReport }): JSX.Element {
  const { results, load, memory, peaks } = report;
  const first = (kind: TestResult['kind']): TestResult | undefined =>
    results.find((result) => result.kind === kind);
  const [prefill, decode, encode] = [first('prefill'), first('decode'), first('encode')];
  const firstToken = [prefill, encode, decode].find((result) => result?.firstTokenMs !== undefined);
  const rate = (label: string, result: TestResult | undefined): JSX.Element | undefined =>
    result && (
      <RateTile
        label={label}
        result={result}
        formula={peaks === null ? undefined : limitFormula(result, peaks)}
      />
    );
  return (
    <dl class="tiles">
      {rate('Prompt (prefill)', prefill)}
      {rate('Reply (decode)', decode)}
      {rate('Texts (encode)', encode)}
      {firstToken?.firstTokenMs !== undefined && (
        <Tile
          label="First token after"
          figure={formatMs(firstToken.firstTokenMs.median)}
          range={from(formatMsRange(firstToken.firstTokenMs))}
        >
          {firstToken.test}
        </Tile>
      )}
      {load !== undefined && (
        <Tile label="Load, cold" figure={formatMs(load.coldMs)}>
          {load.warmMs === undefined ? '' : `warm ${formatMs(load.warmMs)}`}
        </Tile>
      )}
      <Tile
        label={memory.peakBytes === undefined ? 'GPU memory' : 'GPU memory at its peak'}
        figure={formatBytes(memory.peakBytes ?? memory.total)}
      >
        {`weights ${formatBytes(memory.weights)}, context cache ${formatBytes(memory.kv)}`}
      </Tile>
      {memory.pageBytes !== undefined && (
        <Tile label="Page memory at its peak" figure={formatBytes(memory.pageBytes.peak)}>
          {MEMORY_OF[memory.pageBytes.of]}
        </Tile>
      )}
    </dl>
  );
}

function RateTile({
  label,
  result: { test, tokensPerSecond, limit },
  formula,
}: {
  readonly label: string;
  readonly result: TestResult;
  readonly formula: string | undefined;
}): JSX.Element {
  return (
    <Tile
      label={label}
      figure={formatFigure(tokensPerSecond.median)}
      unit="tokens/s"
      range={from(formatRange(tokensPerSecond))}
    >
      {test}
      {limit !== undefined && formula !== undefined && (
        <>
          <br />
          <Limit share={limit.share} what={test} formula={formula} />
        </>
      )}
    </Tile>
  );
}

function Tile({
  label,
  figure,
  unit,
  range,
  children,
}: {
  readonly label: string;
  readonly figure: string;
  readonly unit?: string;
  readonly range?: string | undefined;
  readonly children?: ComponentChildren;
}): JSX.Element {
  return (
    <div class="tile">
      <dt>{label}</dt>
      <dd>
        <span class="figure">{figure}</span>
        {unit !== undefined && <span class="unit"> {unit}</span>}
      </dd>
      {range !== undefined && <dd class="quiet">{range}</dd>}
      <dd class="quiet">{children}</dd>
    </div>
  );
}

function from(range: string): string | undefined {
  return range === '' ? undefined : `from ${range}`;
}
