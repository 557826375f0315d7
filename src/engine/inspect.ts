import { openDevice, type Device } from '../gpu/device.ts';
import { readBuffer } from '../gpu/readback.ts';
import type { KvDType } from '../kernels/kv_cache.ts';
import type { Decoder, EncoderModel, Seq2SeqModel, TokenModel } from '../models/family.ts';
import { ConfigError, WeightFileError } from '../util/errors.ts';
import { divCeil, roundUp } from '../util/arith.ts';
import { toFloat32 } from '../weights/format/float.ts';
import { headerLength, parseHeader, PREFIX_BYTES } from '../weights/format/safetensors.ts';
import type { ModelSource } from '../weights/source.ts';
import { GREEDY } from './core/sampling.ts';
import { EncoderRunner } from './encoder_runner.ts';
import { Generator, type Generation } from './generator.ts';
import { resolveLimits } from './limits.ts';
import { openAnyModel, uploadModel, type ModelFiles } from './model.ts';
import { greedyGeneration } from './seq2seq_sampling.ts';

/** How far one value is from the reference's. */
export interface TensorDifference {
  /** Largest |ours − reference|. */
  readonly maxAbs: number;
  /** Largest |reference|. */
  readonly maxRef: number;
  /** `maxAbs / maxRef`. */
  readonly rel: number;
}

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
  readonly signal?: AbortSignal;
}

const EXPECTED = 'expected.safetensors';
const PAGE_SIZE = 16;

/**
 * Runs a model on the inputs in its `expected.safetensors` and compares every value that both name, and the greedy
 * continuation. A model that cannot be run is reported, not thrown. Kernels are those that the device chooses by itself:
 * one that the self-test of `Engine.load` would drop is run, too, so that it shows.
 *
 * The file: `input_ids` [batch, tokens] and optionally `attention_mask`; `hidden_states.i` and `logits`
 * [batch, tokens, size]; `prompt_ids` and `greedy_ids` [1, tokens].
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
    device = await openDevice(options.gpu);
    const { vendor, architecture, description } = device.facts;
    adapter = [vendor, architecture, description].filter((name) => name !== '').join(' ');
    const comparison = await compareAny(device, source, options);
    const { tensors, greedy } = comparison;
    const differences = Object.values(tensors);
    if (differences.length === 0 && greedy === null) {
      throw new WeightFileError(
        EXPECTED,
        'has no output that we name, expected logits, hidden_states.i, last_hidden_state or greedy_ids',
      );
    }
    const { tolerance = 1e-4 } = options;
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

type Comparison = Pick<ParityReport, 'tensors' | 'greedy'>;

async function compareAny(
  device: Device,
  source: ModelSource,
  options: ParityOptions,
): Promise<Comparison> {
  const { signal } = options;
  const expected = await readExpected(source, signal);
  const compare = await openAnyModel(
    source,
    {
      decoder: (opened) => async () =>
        compareDecoder(device, await uploadModel(opened, device, { signal }), expected, options),
      encoder: (opened) => async () =>
        compareEncoder(device, await uploadModel(opened, device, { signal }), expected),
      seq2seq: (opened) => async () => {
        const model = await uploadModel(opened, device, { signal });
        return compareSeq2Seq(device, model, opened, expected, options);
      },
    },
    signal,
  );
  return compare();
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

interface InputRow {
  readonly ids: readonly number[];
  /** Index of the row's first token among batch × tokens. */
  readonly offset: number;
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

/** The largest differences found, by tensor. */
class Differences {
  readonly worst: Record<string, TensorDifference> = {};
  readonly #device: Device;
  readonly #expected: Reference;

  constructor(device: Device, expected: Reference) {
    this.#device = device;
    this.#expected = expected;
  }

  /**
   * Compares values with one row per token.
   *
   * @param first - token of the reference that row 0 belongs to
   */
  async add(
    values: ReadonlyMap<string, GPUBufferBinding>,
    first: number,
    rows: number,
  ): Promise<void> {
    for (const [name, range] of values) {
      const size = this.#expected.get(name)?.shape.at(-1) ?? 0;
      await this.addColumns([name], range, { first, rows, size });
    }
  }

  /** Compares one value whose columns have names of their own, or all one name. */
  async addColumns(
    names: readonly string[],
    range: GPUBufferBinding,
    { first, rows, size }: { readonly first: number; readonly rows: number; readonly size: number },
  ): Promise<void> {
    if (!names.some((name) => this.#expected.has(name))) return;
    const bytes = await readBuffer(this.#device, { ...range, size: rows * size * 4 });
    const all = new Float32Array(bytes);
    const width = size / names.length;
    for (const [column, name] of names.entries()) {
      const reference = this.#expected.get(name);
      if (reference === undefined) continue;
      const ours = all.filter((_, i) => Math.floor((i % size) / width) === column);
      const want = reference.values.subarray(first * width, (first + rows) * width);
      this.worst[name] = worse(this.worst[name], difference(ours, want));
    }
  }
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

function difference(actual: Float32Array, expected: Float32Array): TensorDifference {
  let maxAbs = 0;
  let maxRef = 0;
  for (const [i, want] of expected.entries()) {
    const distance = Math.abs((actual[i] ?? Number.NaN) - want);
    // Written so that a NaN of ours counts as a difference.
    maxAbs = distance <= maxAbs ? maxAbs : Number.isNaN(distance) ? Infinity : distance;
    maxRef = Math.max(maxRef, Math.abs(want));
  }
  return { maxAbs, maxRef, rel: maxRef === 0 ? maxAbs : maxAbs / maxRef };
}

function worse(a: TensorDifference | undefined, b: TensorDifference): TensorDifference {
  if (a === undefined) return b;
  const maxAbs = Math.max(a.maxAbs, b.maxAbs);
  const maxRef = Math.max(a.maxRef, b.maxRef);
  return { maxAbs, maxRef, rel: maxRef === 0 ? maxAbs : maxAbs / maxRef };
}

interface ReferenceTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

type Reference = ReadonlyMap<string, ReferenceTensor>;

async function readExpected(source: ModelSource, signal?: AbortSignal): Promise<Reference> {
  const file = await source.open(EXPECTED, signal);
  if (file === undefined) {
    throw new WeightFileError(EXPECTED, `missing in ${source.name}, expected reference outputs`);
  }
  const bytes = await file.read(0, file.size, signal);
  const begin = PREFIX_BYTES + headerLength(EXPECTED, bytes.subarray(0, PREFIX_BYTES), file.size);
  const { tensors } = parseHeader(EXPECTED, bytes.subarray(PREFIX_BYTES, begin), file.size);
  return new Map(
    tensors.map(({ name, dtype, shape, begin: from, end }) => {
      const part = bytes.slice(from, end);
      switch (dtype) {
        case 'I32':
          return [name, { shape, values: Float32Array.from(new Int32Array(part.buffer)) }];
        case 'I64':
          return [
            name,
            { shape, values: Float32Array.from(new BigInt64Array(part.buffer), Number) },
          ];
        case 'F32':
        case 'F16':
        case 'BF16':
          return [name, { shape, values: toFloat32(dtype, part) }];
        default:
          throw new WeightFileError(
            EXPECTED,
            `${name} is ${dtype}, expected F32, F16, BF16, I32 or I64`,
            {
              tensor: name,
            },
          );
      }
    }),
  );
}

/** The rows of `input_ids` without the padding on their right, or of `decoder_input_ids`, which have none. */
function inputRows(
  expected: Reference,
  name: 'input_ids' | 'decoder_input_ids',
): readonly InputRow[] {
  const inputs = expected.get(name);
  if (inputs === undefined) return [];
  // Multiple choice has an axis of choices between them.
  const tokens = inputs.shape.at(-1) ?? 0;
  const batch = inputs.shape.slice(0, -1).reduce((n, size) => n * size, 1);
  const mask = name === 'input_ids' ? expected.get('attention_mask')?.values : undefined;
  return Array.from({ length: batch }, (_, row) => {
    const offset = row * tokens;
    const ids = [...inputs.values.subarray(offset, offset + tokens)];
    const length = mask?.subarray(offset, offset + tokens).indexOf(0) ?? -1;
    return { ids: length === -1 ? ids : ids.slice(0, length), offset };
  }).filter(({ ids }) => ids.length > 0);
}

function longestOf(rows: readonly InputRow[]): number {
  return Math.max(1, ...rows.map(({ ids }) => ids.length));
}

function idsOf(expected: Reference, name: string): readonly number[] {
  return [...(expected.get(name)?.values ?? [])];
}

function checkIds(vocab: number, rows: readonly (readonly number[])[]): void {
  const bad = rows.flat().find((id) => id < 0 || id >= vocab);
  if (bad !== undefined) {
    throw new ConfigError(
      `${EXPECTED}: token id ${bad} is out of range, expected 0 to ${vocab - 1}`,
    );
  }
}
