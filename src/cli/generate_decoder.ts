/** `quern generate` with a decoder: a reply to a prompt. @module */
import type { GenerationParams, Usage } from '../engine/openai.ts';
import { Engine } from '../load.ts';
import type { ChatMessage } from '../tokenizer/chat_template.ts';
import type { ModelSource } from '../weights/source.ts';
import { countValue, numberValue, UsageError } from './command.ts';
import { describeDevice, formatNumber } from './format.ts';
import { type GenerateValues, optionalNumber } from './generate_options.ts';
import { loadOptions } from './load_options.ts';
import { contextValues, speculationValue } from './model.ts';
import type { Terminal } from './terminal.ts';

type Request =
  | { readonly kind: 'chat'; readonly messages: readonly ChatMessage[] }
  | { readonly kind: 'plain'; readonly prompt: string };

/**
 * Streams a reply, or prints it as JSON.
 *
 * @throws {UsageError} if a system message is given to a model without a chat template
 */
export async function generateReply(
  source: ModelSource,
  prompt: string,
  values: GenerateValues,
  given: GenerationParams,
  terminal: Terminal,
): Promise<void> {
  const params = { ...given, signal: terminal.signal };
  const options = await loadOptions(values, terminal);
  const speculation = await speculationValue(values.speculation);
  const settings = { ...options, ...contextValues(values), ...speculation };
  const engine = await Engine.load(source, settings);
  try {
    const { hasChatTemplate } = (await engine.stats()).model;
    if (!hasChatTemplate && values.system !== undefined) {
      throw new UsageError(`generate: --system: ${source.name} has no chat template`);
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
  } finally {
    await engine.dispose();
  }
}

/**
 * Options given; the others keep the defaults of the model.
 *
 * @throws {UsageError} if a value is not what its option takes
 */
export function generationParams(values: GenerateValues): GenerationParams {
  const number = (option: Parameters<typeof optionalNumber>[1]): number | null =>
    optionalNumber(values, option) ?? null;
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
  const guesses = usage.completion_tokens_details;
  const accepted = guesses?.accepted_prediction_tokens ?? 0;
  const guessed = accepted + (guesses?.rejected_prediction_tokens ?? 0);
  return (
    `${prompt_tokens} prompt tokens (${prompt_tokens_details.cached_tokens} cached), ` +
    `${completion_tokens} generated${guesses === undefined ? '' : ` (${accepted} of ${guessed} guesses right)`}; first token after ${formatNumber(timings.time_to_first_token_ms)} ms, ` +
    `prefill ${formatNumber(timings.prefill_tokens_per_second)} tokens/s, ` +
    `decode ${formatNumber(timings.decode_tokens_per_second)} tokens/s\n`
  );
}

async function engineLines(engine: Engine): Promise<string> {
  const stats = await engine.stats();
  const { name, modelType, parameters, contextLength } = stats.model;
  return `model: ${name} (${modelType}, ${parameters} parameters, context ${contextLength} tokens)\n${describeDevice(stats)}`;
}
