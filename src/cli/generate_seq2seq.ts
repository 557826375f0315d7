/** `quern generate` with an encoder-decoder: one text turned into another. @module */
import type { Seq2SeqParams, Seq2SeqResult } from '../engine/seq2seq_api.ts';
import { Seq2Seq } from '../load.ts';
import type { ModelSource } from '../weights/source.ts';
import { countValue } from './command.ts';
import { describeDevice, formatNumber } from './format.ts';
import { type GenerateValues, optionalNumber } from './generate_options.ts';
import { loadOptions } from './load_options.ts';
import { contextValues, inputValue } from './model.ts';
import type { Terminal } from './terminal.ts';

/**
 * Options given; the others keep the defaults of the model. Who asks for sampling, or for none of it, does not mean the
 * beams that the model would have by default.
 *
 * @throws {UsageError} if a value is not what its option takes
 */
export function seq2seqParams(values: GenerateValues): Seq2SeqParams {
  const { beams, 'forced-bos': forcedBos, 'max-tokens': maxTokens } = values;
  const temperature = optionalNumber(values, 'temperature');
  const isSampled = temperature === undefined ? undefined : temperature !== 0;
  const numbers = {
    top_k: optionalNumber(values, 'top-k'),
    top_p: optionalNumber(values, 'top-p'),
    min_p: optionalNumber(values, 'min-p'),
    repetition_penalty: optionalNumber(values, 'repetition-penalty'),
    seed: optionalNumber(values, 'seed'),
  };
  return {
    ...Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined)),
    ...(isSampled !== undefined && { do_sample: isSampled, num_beams: 1 }),
    ...(isSampled === true && { temperature: temperature ?? null }),
    ...(beams !== undefined && { num_beams: countValue('beams', beams) }),
    ...(beams !== undefined && isSampled === undefined && { do_sample: false }),
    ...(forcedBos !== undefined && { forced_bos_token_id: countValue('forced-bos', forcedBos, 0) }),
    ...(maxTokens !== undefined && { max_new_tokens: countValue('max-tokens', maxTokens) }),
    truncate: values.truncate ?? false,
  };
}

/** Streams what a model makes of a text, or prints it as JSON. */
export async function generateOutput(
  source: ModelSource,
  input: string,
  values: GenerateValues,
  given: Seq2SeqParams,
  terminal: Terminal,
): Promise<void> {
  const { signal } = terminal;
  const sizes = { ...contextValues(values), ...inputValue(values.input) };
  const options = await loadOptions(values, terminal);
  const model = await Seq2Seq.load(source, { ...options, ...sizes });
  try {
    const startedAtMs = performance.now();
    const params = { ...given, signal };
    const result =
      values.json === true
        ? await printJson(model, input, params, terminal)
        : await printStream(model, input, params, terminal);
    const elapsedMs = performance.now() - startedAtMs;
    if (values.stats === true || (terminal.isErrScreen && values.json !== true)) {
      terminal.err(usageLine(result, elapsedMs));
    }
    if (values.stats === true) terminal.err(await modelLines(model));
  } finally {
    await model.dispose();
  }
}

async function printJson(
  model: Seq2Seq,
  input: string,
  params: Seq2SeqParams,
  terminal: Terminal,
): Promise<Seq2SeqResult> {
  const result = await model.generate(input, { ...params, stream: false });
  terminal.out(`${JSON.stringify(result)}\n`);
  return result;
}

async function printStream(
  model: Seq2Seq,
  input: string,
  params: Seq2SeqParams,
  terminal: Terminal,
): Promise<Seq2SeqResult | undefined> {
  let result: Seq2SeqResult | undefined;
  for await (const chunk of await model.generate(input, { ...params, stream: true })) {
    terminal.out(chunk.text);
    result = chunk.result ?? result;
  }
  terminal.out('\n');
  return result;
}

function usageLine(result: Seq2SeqResult | undefined, elapsedMs: number): string {
  if (result === undefined) return '';
  const { input_tokens, output_tokens } = result.usage;
  return `${input_tokens} input tokens, ${output_tokens} generated in ${formatNumber(elapsedMs)} ms\n`;
}

async function modelLines(model: Seq2Seq): Promise<string> {
  const stats = await model.stats();
  const { name, modelType, parameters, inputLength, contextLength } = stats.model;
  return `model: ${name} (${modelType}, ${parameters} parameters, input ${inputLength} and context ${contextLength} tokens)\n${describeDevice(stats)}`;
}
