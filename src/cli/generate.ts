import { type Command, defineCommand, UsageError } from './command.ts';
import { generateReply, generationParams } from './generate_decoder.ts';
import { refuseOptions } from './generate_options.ts';
import { generateOutput, seq2seqParams } from './generate_seq2seq.ts';
import {
  CONTEXT_OPTIONS,
  GPU_OPTIONS,
  INPUT_OPTION,
  checkKind,
  locateModel,
  MODEL_HELP,
  SPECULATION_OPTION,
  WEIGHTS_OPTION,
} from './model.ts';
import { readText } from './terminal.ts';

const OPTIONS = {
  prompt: {
    type: 'string',
    value: 'TEXT',
    help: 'what to answer or continue; - reads standard input',
  },
  system: { type: 'string', value: 'TEXT', help: 'system message, for the chat template' },
  raw: { type: 'boolean', help: 'continue the text as it is, without the chat template' },
  'max-tokens': { type: 'string', value: 'N', help: 'most tokens to generate' },
  temperature: { type: 'string', value: 'X', help: '0 is greedy' },
  'top-p': { type: 'string', value: 'X', help: 'smallest set of tokens with this probability' },
  'top-k': { type: 'string', value: 'N', help: 'only the N most probable tokens; 0 is off' },
  'min-p': { type: 'string', value: 'X', help: 'least probability relative to the best token' },
  'repetition-penalty': {
    type: 'string',
    value: 'X',
    help: 'divides logits of tokens seen before',
  },
  'frequency-penalty': { type: 'string', value: 'X', help: 'per occurrence in the reply' },
  'presence-penalty': { type: 'string', value: 'X', help: 'for tokens that occur in the reply' },
  'logit-bias': { type: 'string', value: 'ID=X', multiple: true, help: 'added to a logit' },
  seed: { type: 'string', value: 'N', help: 'same seed, same text; default random' },
  stop: { type: 'string', value: 'TEXT', multiple: true, help: 'text that ends the reply' },
  'ignore-eos': { type: 'boolean', help: "go on past the model's own stop tokens" },
  truncate: {
    type: 'boolean',
    help: 'cut a prompt that is too long: its oldest part, or the end of an input',
  },
  beams: { type: 'string', value: 'N', help: 'sequences a beam search keeps; 1 is none' },
  'forced-bos': { type: 'string', value: 'ID', help: 'first token, e.g. of the target language' },
  ...CONTEXT_OPTIONS,
  ...INPUT_OPTION,
  ...SPECULATION_OPTION,
  ...WEIGHTS_OPTION,
  ...GPU_OPTIONS,
  json: { type: 'boolean', help: 'print the whole reply as one JSON object' },
  stats: { type: 'boolean', help: 'tell speed and GPU memory on standard error' },
} as const;

/** `quern generate`: streams one reply. */
export const generateCommand: Command = defineCommand({
  name: 'generate',
  usage: 'MODEL --prompt TEXT [options]',
  summary: 'streams what a model makes of a prompt, with the chat template when it has one',
  details: `${MODEL_HELP} Sampling defaults come from its generation_config.json.
An encoder-decoder, such as T5 or BART, is given the prompt as its input; a beam search (--beams, or as its
generation_config.json says) shows its text at the end. --temperature chooses sampling (above 0) or greedy (0) in place
of beams. With --json the reply is OpenAI-shaped, or of an encoder-decoder
  {"text", "ids", "score"?, "finish_reason", "sequences": [{"text", "ids", "score"?, "finish_reason"}], "usage"}.
Options of one kind of model are refused with the other: --system, --raw, --frequency-penalty, --presence-penalty,
--logit-bias, --stop, --ignore-eos and --speculation are for decoders; --beams, --forced-bos and --input for encoder-decoders.`,
  options: OPTIONS,
  examples: [
    'generate weights/tinychat --prompt "Hello, who are you?"',
    'generate HuggingFaceTB/SmolLM2-135M-Instruct --prompt "Why is the sky blue?" --temperature 0.7 --seed 1',
    'generate google-t5/t5-small --prompt "translate English to German: The house is small." --beams 4',
    'generate weights/tinychat --prompt "Say it again: ..." --speculation lookup --stats',
    'generate weights/tinychat --raw --prompt - --max-tokens 20 --json < prompt.txt',
  ],
  arguments: { min: 1, max: 1 },
  async run(values, [model = ''], terminal) {
    const decoderParams = generationParams(values);
    const params = seq2seqParams(values);
    if (values.prompt === undefined) {
      throw new UsageError(
        'generate: --prompt is missing, expected a text, or - for standard input',
      );
    }
    if (values.raw === true && values.system !== undefined) {
      throw new UsageError('generate: --system needs the chat template, which --raw leaves out');
    }
    const source = await locateModel(model);
    const { kind } = await checkKind(
      'generate',
      model,
      source,
      ['decoder', 'seq2seq'],
      terminal.signal,
    );
    refuseOptions(values, kind);
    const prompt = await readText(values.prompt, terminal);
    if (kind === 'decoder') await generateReply(source, prompt, values, decoderParams, terminal);
    else await generateOutput(source, prompt, values, params, terminal);
    return 0;
  },
});
