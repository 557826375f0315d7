/** What the outputs of an encoder mean, for people to read. @module */
import type { Encoder, EncoderStats, Encoding, EncodingOptions } from '../engine/encoder_api.ts';
import type { ConfigReader } from '../models/config.ts';
import { formatNumber, formatTable } from './format.ts';

/** Tokens guessed for each mask. */
export const GUESSES = 5;
/** Longest answer in tokens, as in Transformers' pipeline. */
const MAX_ANSWER = 15;
/** Numbers shown of a row. */
const SHOWN = 8;

/** A text, or a pair of texts. */
export interface EncodeInput {
  readonly text: string;
  readonly pair?: string;
}

/** What an encoder is asked for, and how to read what it gives. */
export interface EncodeTask {
  readonly kind: 'vector' | 'labels' | 'tokenLabels' | 'guesses' | 'answer' | 'numbers';
  readonly options: EncodingOptions;
  /** Outputs that are read; others are handed out as they are. */
  readonly reads: readonly string[];
  readonly labels: readonly string[];
  readonly toProbabilities: (logits: readonly number[]) => readonly number[];
}

interface Labeled {
  readonly label: string;
  /** Of a regression: its value. */
  readonly probability: number;
}
interface TokenText {
  readonly id: number;
  readonly text: string;
}
interface Guess extends TokenText {
  readonly probability: number;
}
interface Span {
  /** Index of its first token, and of its last. */
  readonly start: number;
  readonly end: number;
  readonly probability: number;
}
type Rows = readonly (readonly number[])[];

/** What `quern encode --json` prints for a text. Lists of labels and guesses begin with the most probable. */
export interface EncodeReading extends EncodeInput {
  /** How many the text has. */
  readonly tokens: number;
  readonly vector?: readonly number[];
  readonly labels?: readonly Labeled[];
  readonly tokenLabels?: readonly (TokenText & { readonly labels: readonly Labeled[] })[];
  readonly masks?: readonly { readonly position: number; readonly guesses: readonly Guess[] }[];
  readonly answer?: Span & { readonly text: string };
  readonly outputs?: Readonly<Record<string, Rows>>;
}

/** Decides what to ask for: a vector where one is wished for or there is no head, else what the head gives. */
export function chooseTask(
  {
    outputs,
    labels = [],
    defaults,
  }: Pick<EncoderStats['model'], 'outputs' | 'labels' | 'defaults'>,
  config: ConfigReader,
  wishes: Pick<EncodingOptions, 'pooling' | 'normalize' | 'truncate'>,
): EncodeTask {
  const toProbabilities = activationOf(config.raw('problem_type'), labels.length);
  const task = { options: wishes, reads: ['logits'], labels, toProbabilities };
  const architecture = config.architecture() ?? '';
  if (wishes.pooling !== undefined || defaults.pooling !== undefined) {
    return { ...task, kind: 'vector' };
  }
  if (defaults.outputs.includes('last_hidden_state')) {
    return { ...task, kind: 'vector', options: { pooling: 'mean', ...wishes } };
  }
  if (outputs.includes('start_logits')) {
    return { ...task, kind: 'answer', reads: ['start_logits', 'end_logits'] };
  }
  const guessed = architecture.endsWith('ForMaskedLM') ? 'logits' : 'prediction_logits';
  if (outputs.includes(guessed)) {
    const options = { rows: 'masked', ...wishes } as const;
    return { ...task, kind: 'guesses', options, reads: [guessed] };
  }
  if (labels.length === 0) return { ...task, kind: 'numbers', reads: [] };
  const isOfTokens = architecture.endsWith('ForTokenClassification');
  return { ...task, kind: isOfTokens ? 'tokenLabels' : 'labels' };
}

/** As Transformers' pipeline chooses. */
function activationOf(problem: unknown, classes: number): EncodeTask['toProbabilities'] {
  if (problem === 'regression') return (logits) => logits;
  if (problem !== 'multi_label_classification' && classes !== 1) return softmax;
  return (logits) => logits.map((logit) => 1 / (1 + Math.exp(-logit)));
}

/** Reads what came of a text. */
export async function readEncoding(
  encoder: Pick<Encoder, 'tokenize' | 'detokenize'>,
  input: EncodeInput,
  { ids, vector, outputs, positions = [] }: Encoding,
  task: EncodeTask,
): Promise<EncodeReading> {
  const all = Object.entries(outputs).map(
    ([name, { data, rows, size }]): readonly [string, Rows] => [
      name,
      Array.from({ length: rows }, (_, i) => [...data.subarray(i * size, (i + 1) * size)]),
    ],
  );
  const others = all.filter(([name]) => !task.reads.includes(name));
  const [rows = [], ends = []] = task.reads.map((name) => new Map(all).get(name) ?? []);
  return {
    ...input,
    tokens: ids.length,
    ...(vector !== undefined && { vector: [...vector] }),
    ...(await readHead()),
    ...(others.length > 0 && { outputs: Object.fromEntries(others) }),
  };

  async function readHead(): Promise<Partial<EncodeReading>> {
    switch (task.kind) {
      case 'vector':
      case 'numbers':
        return {};
      case 'labels':
        return { labels: labelsOf(rows[0] ?? [], task) };
      case 'tokenLabels': {
        const texts = await Promise.all(ids.map(textOf));
        return {
          tokenLabels: texts.map((token, i) => ({
            ...token,
            labels: labelsOf(rows[i] ?? [], task),
          })),
        };
      }
      case 'guesses':
        return { masks: await Promise.all(rows.map(guess)) };
      case 'answer': {
        const { pair = '' } = input;
        const context = await encoder.tokenize(pair, { addSpecialTokens: false });
        const span = bestSpan(rows.flat(), ends.flat(), placeOf(context, ids));
        const text = await encoder.detokenize(ids.slice(span.start, span.end + 1));
        return { answer: { text, ...span } };
      }
    }
  }

  async function guess(
    logits: readonly number[],
    i: number,
  ): Promise<{ position: number; guesses: readonly Guess[] }> {
    const probabilities = softmax(logits);
    const best = mostFirst([...probabilities.keys()], (id) => probabilities[id] ?? 0);
    const guesses = best.slice(0, GUESSES).map(async (id): Promise<Guess> => ({
      ...(await textOf(id)),
      probability: probabilities[id] ?? 0,
    }));
    return { position: positions[i] ?? 0, guesses: await Promise.all(guesses) };
  }

  async function textOf(id: number): Promise<TokenText> {
    return { id, text: await encoder.detokenize([id], { skipSpecialTokens: false }) };
  }
}

function labelsOf(logits: readonly number[], task: EncodeTask): readonly Labeled[] {
  const probabilities = task.toProbabilities(logits);
  const labeled = task.labels.map((label, i) => ({ label, probability: probabilities[i] ?? 0 }));
  return mostFirst(labeled, ({ probability }) => probability);
}

/**
 * Where the tokens of a text are among those of a pair that it is the second of, special tokens round them; it may be
 * cut off at its end.
 *
 * @returns index of the first, and one past the last
 */
export function placeOf(
  text: readonly number[],
  ids: readonly number[],
): readonly [begin: number, end: number] {
  let place: readonly [number, number] = [0, 0];
  for (const begin of ids.keys()) {
    let length = 0;
    while (length < text.length && ids[begin + length] === text[length]) length += 1;
    // The last of equals: the same words may be in the question.
    if (length >= place[1] - place[0]) place = [begin, begin + length];
  }
  return place;
}

/** The most probable answer whose tokens all are within [begin, end). Devlin et al. 2018, arXiv:1810.04805, section 4.2. */
export function bestSpan(
  startLogits: readonly number[],
  endLogits: readonly number[],
  [begin, end]: readonly [number, number],
): Span {
  const starts = softmax(startLogits.slice(begin, end));
  const ends = softmax(endLogits.slice(begin, end));
  let best: Span = { start: begin, end: begin - 1, probability: 0 };
  for (const [i, start] of starts.entries()) {
    for (const [length, last] of ends.slice(i, i + MAX_ANSWER).entries()) {
      const probability = start * last;
      if (probability <= best.probability) continue;
      best = { start: begin + i, end: begin + i + length, probability };
    }
  }
  return best;
}

function softmax(logits: readonly number[]): readonly number[] {
  const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

function mostFirst<T>(list: readonly T[], valueOf: (item: T) => number): readonly T[] {
  return list.toSorted((a, b) => valueOf(b) - valueOf(a));
}

/** The same for people, lines of it. */
export function describeReading(reading: EncodeReading): string {
  return formatTable([...labelRows(reading), ...maskRows(reading), ...numberRows(reading)]);
}

type TableRows = readonly (readonly string[])[];

function labelRows({ labels = [], tokenLabels = [], answer }: EncodeReading): TableRows {
  const rows = labels.map(({ label, probability }) => [label, probability.toFixed(4)]);
  for (const token of tokenLabels) {
    for (const { label, probability } of token.labels.slice(0, 1)) {
      rows.push([JSON.stringify(token.text), label, probability.toFixed(4)]);
    }
  }
  if (answer === undefined) return rows;
  return [...rows, [JSON.stringify(answer.text), answer.probability.toFixed(4)]];
}

function maskRows({ masks }: EncodeReading): TableRows {
  if (masks?.length === 0) return [['there is no mask token in the text']];
  return (masks ?? []).flatMap(({ position, guesses }) => [
    [`mask at token ${position}`],
    ...guesses.map(({ text, probability }) => [
      `  ${JSON.stringify(text)}`,
      probability.toFixed(4),
    ]),
  ]);
}

function numberRows({ vector, outputs = {} }: EncodeReading): TableRows {
  const rows = Object.entries(outputs).flatMap(([name, values]) =>
    values.map((row) => [name, ...shown(row)]),
  );
  return vector === undefined ? rows : [[`vector of ${vector.length}`, ...shown(vector)], ...rows];
}

function shown(values: readonly number[]): readonly string[] {
  const texts = values.slice(0, SHOWN).map(formatNumber);
  return values.length > SHOWN ? [...texts, '…'] : texts;
}
