import { Engine } from '../load.ts';
import type { LoadProgress } from '../engine/api.ts';
import type { GenerationParams, Usage } from '../engine/openai.ts';
import { openGpu } from '../node/gpu.ts';
import type { ChatMessage } from '../tokenizer/chat_template.ts';
import {
  type Command,
  countValue,
  defineCommand,
  numberValue,
  UsageError,
  type Values,
} from './command.ts';
import { formatBytes, formatNumber } from './format.ts';
import {
  adapterValue,
  contextValues,
  CONTEXT_OPTIONS,
  GPU_OPTIONS,
  locateModel,
  MODEL_HELP,
} from './model.ts';
import type { Terminal } from './terminal.ts';

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
  truncate: { type: 'boolean', help: 'drop the oldest part of a prompt that is too long' },
  ...CONTEXT_OPTIONS,
  ...GPU_OPTIONS,
  json: { type: 'boolean', help: 'print the whole reply as one OpenAI-shaped JSON object' },
  stats: { type: 'boolean', help: 'tell speed and GPU memory on standard error' },
} as const;

/** `quern generate`: streams one reply. */
export const generateCommand: Command = defineCommand({
  name: 'generate',
  usage: 'MODEL --prompt TEXT [options]',
  summary: 'streams a reply to a prompt, with the chat template when the model has one',
  details: `${MODEL_HELP} Sampling defaults come from its generation_config.json.`,
  options: OPTIONS,
  examples: [
    'generate weights/tinychat --prompt "Hello, who are you?"',
    'generate HuggingFaceTB/SmolLM2-135M-Instruct --prompt "Why is the sky blue?" --temperature 0.7 --seed 1',
    'generate weights/tinychat --raw --prompt - --max-tokens 20 --json < prompt.txt',
  ],
  arguments: { min: 1, max: 1 },
  async run(values, [model = ''], terminal) {
    const params = { ...generationParams(values), signal: terminal.signal };
    if (values.prompt === undefined) {
      throw new UsageError(
        'generate: --prompt is missing, expected a text, or - for standard input',
      );
    }
    if (values.raw === true && values.system !== undefined) {
      throw new UsageError('generate: --system needs the chat template, which --raw leaves out');
    }
    // The line break that ends a file is no part of its text.
    const prompt =
      values.prompt === '-' ? (await terminal.readInput()).replace(/\r?\n$/, '') : values.prompt;
    const engine = await loadEngine(model, values, terminal);
    try {
      const { hasChatTemplate } = (await engine.stats()).model;
      if (!hasChatTemplate && values.system !== undefined) {
        throw new UsageError(`generate: --system: ${model} has no chat template`);
      }
      const request: Request =
        hasChatTemplate && values.raw !== true
          ? { kind: 'chat', messages: conversation(values.system, prompt) }
          : { kind: 'plain', prompt };
      const usage =
        values.json === true
          ? await printJson(engine, request, params, terminal)
          : await printStream(engine, request, params, terminal);
      if (values.stats === true || (terminal.isErrScreen && values.json !== true)) {
        terminal.err(usageLine(usage));
      }
      if (values.stats === true) terminal.err(await engineLines(engine));
      return 0;
    } finally {
      await engine.dispose();
    }
  },
});

type Request =
  | { readonly kind: 'chat'; readonly messages: readonly ChatMessage[] }
  | { readonly kind: 'plain'; readonly prompt: string };

/** Options that only some values are given for: the others keep the defaults of the model. */
function generationParams(values: Values<typeof OPTIONS>): GenerationParams {
  const number = (option: keyof typeof values): number | null => {
    const text = values[option];
    return typeof text === 'string' ? numberValue(option, text) : null;
  };
  const bias = values['logit-bias']?.map(parseBias);
  return {
    max_tokens:
      values['max-tokens'] === undefined ? null : countValue('max-tokens', values['max-tokens']),
    temperature: number('temperature'),
    top_p: number('top-p'),
    top_k: number('top-k'),
    min_p: number('min-p'),
    repetition_penalty: number('repetition-penalty'),
    frequency_penalty: number('frequency-penalty'),
    presence_penalty: number('presence-penalty'),
    logit_bias: bias === undefined ? null : Object.fromEntries(bias),
    seed: number('seed'),
    stop: values.stop ?? null,
    ignore_eos: values['ignore-eos'] ?? false,
    context_overflow: values.truncate === true ? 'truncate' : 'error',
  };
}

function parseBias(text: string): readonly [string, number] {
  const [, id, bias] = /^(\d+)=(.+)$/.exec(text) ?? [];
  if (id !== undefined && bias !== undefined) return [id, numberValue('logit-bias', bias)];
  throw new UsageError(
    `--logit-bias: ${JSON.stringify(text)}, expected a token id, "=" and a number`,
  );
}

function conversation(system: string | undefined, prompt: string): readonly ChatMessage[] {
  const user = { role: 'user', content: prompt };
  return system === undefined ? [user] : [{ role: 'system', content: system }, user];
}

async function loadEngine(
  model: string,
  values: Values<typeof OPTIONS>,
  terminal: Terminal,
): Promise<Engine> {
  const limits = contextValues(values);
  const gpu = await openGpu(adapterValue(values.adapter));
  const onProgress = terminal.isErrScreen
    ? (progress: LoadProgress): void => terminal.err(progressLine(progress))
    : undefined;
  return Engine.load(await locateModel(model), {
    ...limits,
    gpu,
    signal: terminal.signal,
    ...(onProgress !== undefined && { onProgress }),
  });
}

/** Redraws one line of the screen; the last call clears it. */
function progressLine({ phase, file, loadedBytes, totalBytes }: LoadProgress): string {
  const clear = '\r\u001B[K';
  switch (phase) {
    case 'files':
      return `${clear}reading configuration`;
    case 'weights':
      return `${clear}${file?.split('/').pop() ?? 'weights'} ${formatBytes(loadedBytes)} of ${formatBytes(totalBytes)}`;
    case 'compile':
      return `${clear}compiling shaders`;
    case 'ready':
      return clear;
  }
}

async function printJson(
  engine: Engine,
  request: Request,
  params: GenerationParams,
  terminal: Terminal,
): Promise<Usage> {
  const reply =
    request.kind === 'chat'
      ? await engine.chat.completions.create({ ...params, messages: request.messages })
      : await engine.completions.create({ ...params, prompt: request.prompt });
  terminal.out(`${JSON.stringify(reply)}\n`);
  return reply.usage;
}

async function printStream(
  engine: Engine,
  request: Request,
  params: GenerationParams,
  terminal: Terminal,
): Promise<Usage | undefined> {
  let usage: Usage | undefined;
  if (request.kind === 'chat') {
    const { messages } = request;
    const stream = await engine.chat.completions.create({ ...params, messages, stream: true });
    for await (const chunk of stream) {
      terminal.out(chunk.choices[0]?.delta.content ?? '');
      usage = chunk.usage ?? usage;
    }
  } else {
    const { prompt } = request;
    const stream = await engine.completions.create({ ...params, prompt, stream: true });
    for await (const chunk of stream) {
      terminal.out(chunk.choices[0]?.text ?? '');
      usage = chunk.usage ?? usage;
    }
  }
  terminal.out('\n');
  return usage;
}

function usageLine(usage: Usage | undefined): string {
  if (usage === undefined) return '';
  const { prompt_tokens, completion_tokens, prompt_tokens_details, timings } = usage;
  return (
    `${prompt_tokens} prompt tokens (${prompt_tokens_details.cached_tokens} cached), ` +
    `${completion_tokens} generated; first token after ${formatNumber(timings.time_to_first_token_ms)} ms, ` +
    `prefill ${formatNumber(timings.prefill_tokens_per_second)} tokens/s, ` +
    `decode ${formatNumber(timings.decode_tokens_per_second)} tokens/s\n`
  );
}

async function engineLines(engine: Engine): Promise<string> {
  const { model, adapter, memory } = await engine.stats();
  const parts = (['weights', 'kv', 'scratch', 'state', 'readback'] as const).map(
    (purpose) => `${purpose} ${formatBytes(memory[purpose])}`,
  );
  return [
    `model: ${model.name} (${model.modelType}, ${model.parameters} parameters, context ${model.contextLength} tokens)`,
    `adapter: ${adapter.description} (${adapter.isSoftware ? 'software, ' : ''}f16 ${adapter.hasF16 ? 'yes' : 'no'}, subgroups ${adapter.hasSubgroups ? 'yes' : 'no'})`,
    `GPU memory: ${formatBytes(memory.total)} (${parts.join(', ')})`,
    '',
  ].join('\n');
}
