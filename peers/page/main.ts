/** The page: chooses what is compared, and shows what comes out. @module */
import { compare } from '../compare.ts';
import type { Entry, Outcome, Skipped } from '../contest.ts';
import { entriesOf, KINDS, type Kind } from '../entries.ts';
import type { About, Report } from '../report.ts';
import { groupRowsOf, headingOf, lineOf, reportJson, rowsOf, skippedLineOf } from '../report.ts';
import { openPageArena } from './arena.ts';
import '../../demo/styles/base.css';
import '../../demo/styles/controls.css';
import './page.css';

const KIND_NAMES: Readonly<Record<Kind, string>> = {
  matmul: 'Single matmuls, ONNX Runtime Web',
  bert: 'BERT-base, ONNX Runtime Web',
  decode: 'Decoders, ONNX Runtime Web',
  transformers: 'BERT-base and a small decoder, Transformers.js',
  wllama: 'A small decoder, wllama',
};
/** What is chosen at first: it takes least. */
const CHOSEN: Kind = 'bert';

const PAGE_COMMAND = 'npm run peers -- --page';

const arena = openPageArena();
const choices: { readonly entry: Entry; readonly box: HTMLInputElement }[] = [];
let stop = new AbortController();
/** The latest report. */
let json = '';

for (const kind of KINDS) element('entries').append(kindOf(kind));
element('form').addEventListener('submit', (event) => {
  event.preventDefault();
  void run();
});
element('copy').addEventListener('click', () => void navigator.clipboard.writeText(json));
element('stop').addEventListener('click', () => stop.abort(new Error('stopped')));

async function run(): Promise<void> {
  element('problem').textContent = '';
  const entries = choices.filter(({ box }) => box.checked).map(({ entry }) => entry);
  if (entries.length === 0) {
    element('problem').textContent = 'Choose what to compare.';
    return;
  }
  stop = new AbortController();
  setRunning(true);
  const outcomes: Outcome[] = [];
  const skipped: Skipped[] = [];
  let about: About | undefined;
  const show = (): void => {
    if (about !== undefined) showReport(about, outcomes, skipped);
  };
  try {
    await compare(arena, entries, {
      repetitions: element('repetitions', HTMLInputElement).valueAsNumber,
      runtime: navigator.userAgent,
      signal: stop.signal,
      onStart(found) {
        about = found;
        show();
      },
      onEntry({ name, peer }, i) {
        const place = `${i + 1} of ${entries.length}`;
        element('status').textContent = `${place}: ${name}, ${peer} …`;
      },
      onOutcome(outcome) {
        outcomes.push(outcome);
        show();
      },
      onSkipped(one) {
        skipped.push(one);
        show();
      },
    });
    element('status').textContent = 'Done.';
  } catch (error) {
    element('status').textContent = stop.signal.aborted ? 'Stopped.' : '';
    if (!stop.signal.aborted) element('problem').textContent = String(error);
  } finally {
    setRunning(false);
  }
}

function setRunning(isRunning: boolean): void {
  element('run', HTMLButtonElement).disabled = isRunning;
  element('stop', HTMLButtonElement).disabled = !isRunning;
}

function showReport(about: About, outcomes: readonly Outcome[], skipped: readonly Skipped[]): void {
  element('results').hidden = false;
  element('about').textContent = headingOf(about);
  fillTable('table', outcomes.length === 0 ? [] : rowsOf(outcomes));
  fillTable('groups', groupRowsOf(outcomes));
  const notes = [...outcomes.map(lineOf), ...skipped.map(skippedLineOf)];
  element('notes').replaceChildren(...notes.map((text) => make('li', text)));
  const report: Report = { ...about, outcomes, skipped };
  json = JSON.stringify(reportJson(report, PAGE_COMMAND, null), null, 2);
  const save = element('save', HTMLAnchorElement);
  URL.revokeObjectURL(save.href);
  save.href = URL.createObjectURL(new Blob([json], { type: 'application/json' }));
}

function fillTable(id: string, [head, ...rows]: readonly (readonly string[])[]): void {
  const row = (cells: readonly string[], tag: 'th' | 'td'): HTMLElement => {
    const line = make('tr');
    line.append(...cells.map((text) => make(tag, text)));
    return line;
  };
  const lines = rows.map((cells) => row(cells, 'td'));
  element(id).replaceChildren(...(head === undefined ? [] : [row(head, 'th'), ...lines]));
}

/** A box for all entries of a kind, and one for each. */
function kindOf(kind: Kind): HTMLElement {
  const group = make('div');
  group.className = 'kind';
  const all = checkbox(KIND_NAMES[kind]);
  const details = make('details');
  details.append(make('summary', 'one by one'));
  const boxes = entriesOf([kind], '').map((entry) => {
    const { label, box } = checkbox(`${entry.name}, ${entry.peer}`);
    label.className = 'one';
    details.append(label);
    choices.push({ entry, box });
    return box;
  });
  const update = (): void => {
    const count = boxes.filter(({ checked }) => checked).length;
    all.box.checked = count === boxes.length;
    all.box.indeterminate = count > 0 && count < boxes.length;
  };
  for (const [i, box] of boxes.entries()) {
    box.checked = kind === CHOSEN && i === 0;
    box.addEventListener('change', update);
  }
  all.box.addEventListener('change', () => {
    for (const box of boxes) box.checked = all.box.checked;
  });
  update();
  group.append(all.label, details);
  return group;
}

function checkbox(text: string): {
  readonly label: HTMLElement;
  readonly box: HTMLInputElement;
} {
  const label = make('label');
  const box = document.createElement('input');
  box.type = 'checkbox';
  label.append(box, text);
  return { label, box };
}

function make(tag: string, text = ''): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function element(id: string): HTMLElement;
function element<T extends HTMLElement>(id: string, type: new () => T): T;
function element(id: string, type: new () => HTMLElement = HTMLElement): HTMLElement {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new TypeError(`the page has no ${type.name} "${id}"`);
  return found;
}
