import type { Device } from '../gpu/device.ts';
import { openDevice } from '../gpu/open_device.ts';
import type { KvDType } from '../kernels/kv_cache.ts';
import type { Decoder, EncoderModel, Seq2SeqModel, TokenModel } from '../models/family.ts';
import { WeightFileError } from '../util/errors.ts';
import { divCeil, roundUp } from '../util/arith.ts';
import type { WeightOption } from '../weights/forms.ts';
import type { ModelSource } from '../weights/source.ts';
import { ownSource } from '../weights/sources/own.ts';
import { GREEDY } from './core/sampling.ts';
import { EncoderRunner } from './encoder_runner.ts';
import type { Generation } from './generation.ts';
import { Generator } from './generator.ts';
import { resolveLimits } from './limits.ts';
import { uploadModel, type ModelFiles, type OpenedModel } from './model.ts';
import { openAnyModel } from './open_any.ts';
import { wrongInRequest } from './option_reader.ts';
import {
  checkIds,
  Differences,
  EXPECTED,
  idsOf,
  inputRows,
  longestOf,
  readExpected,
  type Reference,
  type TensorDifference,
} from './reference_outputs.ts';
import { greedyGeneration } from './seq2seq_sampling.ts';
import { checkWeightOption, formDecision } from './weight_forms.ts';

/** How a model directory compares with the reference outputs it holds. */
export interface ParityReport {
  readonly dir: string;
  /** Every tensor is within the tolerance and the greedy ids are equal. */
  readonly ok: boolean;
  readonly adapter: string;
  readonly tensors: Readonly<Record<string, TensorDifference>>;
  readonly greedy: {
    readonly expected: readonly number[];
    readonly actual: readonly number[];
    readonly equal: boolean;
  } | null;
  /** Why the comparison could not be made. */
  readonly error?: string;
}

export interface ParityOptions {
  readonly gpu?: GPU;
  /** Largest `rel` that still counts as agreement, default 1e-4. */
  readonly tolerance?: number;
  /** Default f32: differences are then those of the arithmetic. */
  readonly kvDtype?: KvDType;
  /** What weights are stored in, as for loading; default: as in the files. */
  readonly weights?: WeightOption;
  readonly signal?: AbortSignal;
}

const PAGE_SIZE = 16;

/**
 * Runs a model on the inputs in its `expected.safetensors` and compares every value that both name, and the greedy
 * continuation. A model that cannot be run is reported, not thrown. Kernels are those that the device chooses by itself:
 * one that the self-test of `Engine.load` would drop is run, too, so that it shows.
 *
 * The file holds `input_ids` [batch, tokens] and, where there are any, `attention_mask` (0: padding, on the right),
 * `token_type_ids` and `decoder_input_ids`; outputs by their names in Transformers, such as `hidden_states.i`, `logits`,
 * `last_hidden_state`, `pooler_output` or `start_logits`, [batch, tokens, size] or [batch, size]; `prompt_ids` and
 * `greedy_ids` [1, tokens]: of a decoder what it says to the prompt, of an encoder-decoder all its decoder's tokens, to the
 * first input. Greedy ids go on past an EOS; an encoder-decoder's are under the rules of generation_config.json, where
 * there is one.
 *
 * @param dir - name for the report
 * @throws `signal.reason` when aborted
 */
export async function parity(
  dir: string,
  source: ModelSource,
  options: ParityOptions = {},
): Promise<ParityReport> {
  let adapter = 'none';
  let device: Device | undefined;
  try {
    const { tolerance = 1e-4, weights = 'auto' } = options;
    checkTolerance(tolerance);
    checkWeightOption(weights);
    const files = ownSource(source);
    device = await openDevice(options.gpu);
    const { vendor, architecture, description } = device.facts;
    adapter = [vendor, architecture, description].filter((name) => name !== '').join(' ');
    const comparison = await compareAny(device, files, options);
    const { tensors, greedy } = comparison;
    const differences = Object.values(tensors);
    if (differences.length === 0 && greedy === null) {
      throw new WeightFileError(
        EXPECTED,
        'has no output that we name, expected logits, hidden_states.i, last_hidden_state or greedy_ids',
      );
    }
    const agrees = differences.every(({ rel }) => rel <= tolerance);
    return { dir, adapter, ok: agrees && (greedy?.equal ?? true), tensors, greedy };
  } catch (error) {
    options.signal?.throwIfAborted();
    const failure = device?.failure ?? error;
    const message = failure instanceof Error ? failure.message : String(failure);
    return { dir, ok: false, adapter, tensors: {}, greedy: null, error: message };
  } finally {
    device?.dispose();
  }
}

/** Nothing agrees within what is no number. @throws {RequestError} */
function checkTolerance(tolerance: number): void {
  if (Number.isFinite(tolerance) && tolerance >= 0) return;
  throw wrongInRequest('tolerance', tolerance, 'a number of 0 or more');
}

type Comparison = Pick<ParityReport, 'tensors' | 'greedy'>;

async function compareAny(
  device: Device,
  source: ModelSource,
  options: ParityOptions,
): Promise<Comparison> {
  const { signal } = options;
  const place = async <Model>(opened: OpenedModel<Model>): Promise<Model> => {
    const weights = options.weights && formDecision(opened, options.weights)(device.facts).form;
    return uploadModel(opened, device, { signal, weights });
  };
  const compare = await openAnyModel<(expected: Reference) => Promise<Comparison>>(
    source,
    {
      decoder: (opened) => async (expected) =>
        compareDecoder(device, await place(opened), expected, options),
      encoder: (opened) => async (expected) =>
        compareEncoder(device, await place(opened), expected),
      seq2seq: (opened) => async (expected) =>
        compareSeq2Seq(device, await place(opened), opened, expected, options),
    },
    signal,
  );
  return compare(await readExpected(source, signal));
}

async function compareDecoder(
  device: Device,
  loaded: Decoder,
  expected: Reference,
  { kvDtype = 'f32' }: ParityOptions,
): Promise<Comparison> {
  const inputs = inputRows(expected, 'input_ids');
  const prompt = idsOf(expected, 'prompt_ids');
  const greedyIds = idsOf(expected, 'greedy_ids');
  checkIds(loaded.vocab, [...inputs.map(({ ids }) => ids), prompt]);

  const longest = longestOf(inputs);
  const contextLength = Math.max(longest, prompt.length + greedyIds.length);
  const decoder = { ...loaded, maxPositions: Math.max(loaded.maxPositions, contextLength) };
  const { window = 0 } = decoder.kv;
  const tokens = Math.max(contextLength, window + longest) + 2 * PAGE_SIZE;
  const limits = resolveLimits(
    {
      contextLength,
      kvTokens: roundUp(tokens, PAGE_SIZE) + 2 * PAGE_SIZE * divCeil(longest, PAGE_SIZE),
      pageSize: PAGE_SIZE,
      kvDtype,
      maxSequences: 1,
      tokenBudget: longest,
    },
    decoder,
    device.facts,
  );
  const generator = new Generator(device, decoder, limits);
  const tensors = new Differences(device, expected);
  for (const { ids, offset } of inputs) {
    await tensors.add(await generator.runner.inspect(ids), offset, ids.length);
  }
  const greedy =
    greedyIds.length > 0
      ? await compareGreedy(generator, { prompt, sampling: GREEDY }, greedyIds)
      : null;
  return { tensors: tensors.worst, greedy };
}

async function compareEncoder(
  device: Device,
  encoder: EncoderModel,
  expected: Reference,
): Promise<Comparison> {
  const inputs = inputRows(expected, 'input_ids');
  checkIds(
    encoder.vocab,
    inputs.map(({ ids }) => ids),
  );
  const types = expected.get('token_type_ids')?.values;
  const runner = new EncoderRunner(device, encoder, 1);
  const tensors = new Differences(device, expected);
  const outputs = Object.entries(encoder.outputs).filter(([name, { columns = [name] }]) =>
    columns.some((column) => expected.has(column)),
  );
  const names = outputs.map(([name]) => name);
  for (const [row, { ids, offset }] of inputs.entries()) {
    const typeIds = types && [...types.subarray(offset, offset + ids.length)];
    const values = new Map(await runner.inspect({ ids, typeIds }, names));
    for (const [name, { per, size, columns }] of outputs) {
      const range = values.get(name);
      values.delete(name);
      if (range === undefined) continue;
      const rows = per === 'token' ? ids.length : 1;
      const first = per === 'token' ? offset : row;
      await tensors.addColumns(columns ?? [name], range, { first, rows, size });
    }
    await tensors.add(values, offset, ids.length);
  }
  return { tensors: tensors.worst, greedy: null };
}

async function compareSeq2Seq(
  device: Device,
  loaded: Seq2SeqModel,
  files: ModelFiles,
  expected: Reference,
  { kvDtype = 'f32' }: ParityOptions,
): Promise<Comparison> {
  const inputs = inputRows(expected, 'input_ids');
  const targets = inputRows(expected, 'decoder_input_ids');
  const [start, ...greedyIds] = idsOf(expected, 'greedy_ids');
  checkIds(
    loaded.encoder.vocab,
    inputs.map(({ ids }) => ids),
  );
  checkIds(
    loaded.decoder.vocab,
    targets.map(({ ids }) => ids),
  );
  const inputLength = longestOf(inputs);
  const longest = longestOf(targets);
  const contextLength = Math.max(longest, 1 + greedyIds.length);
  const atLeast = <Model extends TokenModel>(model: Model, length: number): Model => ({
    ...model,
    maxPositions: Math.max(model.maxPositions, length),
  });
  const model: Seq2SeqModel = {
    ...loaded,
    encoder: atLeast(loaded.encoder, inputLength),
    decoder: atLeast(loaded.decoder, contextLength),
  };
  const pages = divCeil(contextLength, PAGE_SIZE) + divCeil(inputLength, PAGE_SIZE) + 2;
  const limits = resolveLimits(
    {
      contextLength,
      inputLength,
      kvTokens: pages * PAGE_SIZE,
      pageSize: PAGE_SIZE,
      kvDtype,
      maxSequences: 1,
      tokenBudget: longest,
    },
    model.decoder,
    device.facts,
    model.encoder,
  );
  const generator = new Generator(device, model, limits);
  const tensors = new Differences(device, expected);
  for (const [row, { ids, offset }] of inputs.entries()) {
    await tensors.add(await generator.runner.inspectEncoder(ids), offset, ids.length);
    const target = targets[row];
    if (target === undefined) continue;
    const values = await generator.runner.inspect(target.ids, ids.length);
    await tensors.add(values, target.offset, target.ids.length);
  }
  const greedy =
    start !== undefined && greedyIds.length > 0
      ? await compareGreedy(
          generator,
          greedyOf(files, loaded.decoder.vocab, start, inputs[0]?.ids ?? [], 1 + greedyIds.length),
          greedyIds,
        )
      : null;
  return { tensors: tensors.worst, greedy };
}

/** The most probable tokens; under the rules of generation_config.json, where there is one. */
function greedyOf(
  files: ModelFiles,
  vocab: number,
  startId: number,
  encoderInput: readonly number[],
  maxLength: number,
): Pick<Generation, 'prompt' | 'encoderInput' | 'sampling'> {
  if (Object.keys(files.generationConfig).length === 0) {
    return { prompt: [startId], encoderInput, sampling: GREEDY };
  }
  return greedyGeneration(files, vocab, encoderInput, maxLength);
}

function compareGreedy(
  generator: Generator,
  generation: Pick<Generation, 'prompt' | 'encoderInput' | 'sampling'> &
    Partial<Pick<Generation, 'stopIds'>>,
  expected: readonly number[],
): Promise<NonNullable<ParityReport['greedy']>> {
  const actual: number[] = [];
  return new Promise((resolve, reject) => {
    generator.add({
      stopIds: new Set(),
      ...generation,
      maxTokens: expected.length,
      onToken({ token }, finishReason) {
        actual.push(token);
        if (finishReason === undefined) return;
        const equal = expected.every((id, i) => id === actual[i]);
        resolve({ expected, actual, equal });
      },
      onError: reject,
    });
  });
}
