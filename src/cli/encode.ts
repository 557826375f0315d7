import type { EncoderStats } from '../engine/encoder_api.ts';
import { Encoder } from '../load.ts';
import { choiceValue, type Command, defineCommand, UsageError } from './command.ts';
import {
  chooseTask,
  describeReading,
  type EncodeInput,
  type EncodeTask,
  GUESSES,
  readEncoding,
} from './encode_results.ts';
import { describeDevice, formatNumber } from './format.ts';
import { loadOptions } from './load_options.ts';
import { checkKind, GPU_OPTIONS, locateModel, MODEL_HELP, WEIGHTS_OPTION } from './model.ts';
import { readText, type Terminal } from './terminal.ts';

const POOLINGS = ['mean', 'first', 'pooler'] as const;

/** `quern encode`: what an encoder makes of texts. */
export const encodeCommand: Command = defineCommand({
  name: 'encode',
  usage: 'MODEL --text TEXT [--text TEXT ...] [options]',
  summary: 'prints what an encoder makes of texts: labels, guesses for masks, answers, or vectors',
  details: `${MODEL_HELP} What is printed depends on the head that the checkpoint has:
  classification      the labels of each text, or of each token, with their probabilities
  masked language     the ${GUESSES} most probable tokens for each mask token in the text, e.g. [MASK]
  question answering  where in --pair the answer to --text is
  none                a vector: the mean of the tokens, or what a repository of sentence-transformers says
and the plain numbers of other heads. --pooling prints a vector in any case. With --json each text is one line:
  {"text", "pair"?, "tokens": how many, "vector"?: [...], "labels"?: [{"label", "probability"}],
   "tokenLabels"?: [{"id", "text", "labels": [...]}], "masks"?: [{"position", "guesses": [{"id", "text", "probability"}]}],
   "answer"?: {"text", "start", "end", "probability"}, "outputs"?: {name: [[...], ...]}}
Probabilities are of a softmax; of each label by itself where config.json says multi_label_classification or there is one
label; plain values of a regression.`,
  options: {
    text: {
      type: 'string',
      value: 'TEXT',
      multiple: true,
      help: 'what to encode; - reads standard input',
    },
    pair: {
      type: 'string',
      value: 'TEXT',
      multiple: true,
      help: 'second text, one for each --text: where to look for an answer, or what to compare',
    },
    pooling: {
      type: 'string',
      value: 'NAME',
      help: `print a vector for each text: ${POOLINGS.join(', ')}`,
    },
    normalize: { type: 'boolean', help: 'scale vectors to length 1' },
    truncate: { type: 'boolean', help: 'cut off texts that are too long' },
    ...WEIGHTS_OPTION,
    ...GPU_OPTIONS,
    json: { type: 'boolean', help: 'print one JSON object per text and line' },
    stats: { type: 'boolean', help: 'tell time and GPU memory on standard error' },
  },
  examples: [
    'encode sentence-transformers/all-MiniLM-L6-v2 --text "A cat sat." --text "A dog sat." --json',
    'encode google-bert/bert-base-uncased --text "Paris is the [MASK] of France."',
    'encode path/to/qa-model --text "Who sat on the mat?" --pair "The cat sat on the mat."',
  ],
  arguments: { min: 1, max: 1 },
  async run(values, [model = ''], terminal) {
    const texts = pairUp(values.text ?? [], values.pair ?? []);
    const wishes = wishesOf(values);
    const { signal } = terminal;
    const source = await locateModel(model);
    const { config } = await checkKind('encode', model, source, ['encoder'], signal);
    const inputs: EncodeInput[] = [];
    for (const { text, pair } of texts) {
      inputs.push({
        text: await readText(text, terminal),
        ...(pair !== undefined && { pair: await readText(pair, terminal) }),
      });
    }
    const encoder = await Encoder.load(source, await loadOptions(values, terminal));
    try {
      const task = chooseTask((await encoder.stats()).model, config, wishes);
      await encodeAll(encoder, inputs, task, values, terminal);
      return 0;
    } finally {
      await encoder.dispose();
    }
  },
});

/** @throws {UsageError} if there is no text, or some have a second one and some have not */
function pairUp(texts: readonly string[], pairs: readonly string[]): readonly EncodeInput[] {
  if (texts.length === 0) {
    throw new UsageError('encode: --text is missing, expected a text, or - for standard input');
  }
  if (pairs.length > 0 && pairs.length !== texts.length) {
    throw new UsageError(
      `encode: ${pairs.length} --pair and ${texts.length} --text, expected one --pair for each --text`,
    );
  }
  return texts.map((text, i) => {
    const pair = pairs[i];
    return { text, ...(pair !== undefined && { pair }) };
  });
}

function wishesOf({
  pooling,
  normalize,
  truncate,
}: {
  readonly pooling?: string;
  readonly normalize?: boolean;
  readonly truncate?: boolean;
}): Parameters<typeof chooseTask>[2] {
  return {
    ...(pooling !== undefined && { pooling: choiceValue('pooling', pooling, POOLINGS) }),
    ...(normalize !== undefined && { normalize }),
    ...(truncate !== undefined && { truncate }),
  };
}

async function encodeAll(
  encoder: Encoder,
  inputs: readonly EncodeInput[],
  task: EncodeTask,
  { json, stats }: { readonly json?: boolean; readonly stats?: boolean },
  terminal: Terminal,
): Promise<void> {
  if (task.kind === 'answer' && inputs.some(({ pair }) => pair === undefined)) {
    throw new UsageError(
      'encode: --pair is missing, expected the text where the answer to the question of --text is',
    );
  }
  const startedAtMs = performance.now();
  const encodings = await encoder.encode(inputs, { ...task.options, signal: terminal.signal });
  const elapsedMs = performance.now() - startedAtMs;
  for (const [i, encoding] of encodings.entries()) {
    const reading = await readEncoding(encoder, inputs[i] ?? { text: '' }, encoding, task);
    if (json === true) {
      terminal.out(`${JSON.stringify(reading)}\n`);
      continue;
    }
    if (inputs.length > 1) terminal.out(`${JSON.stringify(reading.text)}\n`);
    terminal.out(describeReading(reading));
  }
  if (stats === true) terminal.err(statsLines(await encoder.stats(), elapsedMs));
}

function statsLines(stats: EncoderStats, elapsedMs: number): string {
  const { model, totals } = stats;
  return (
    `${totals.texts} texts, ${totals.tokens} tokens in ${formatNumber(elapsedMs)} ms\n` +
    `model: ${model.name} (${model.modelType}, ${model.parameters} parameters)\n${describeDevice(stats)}`
  );
}
