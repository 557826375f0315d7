import { openDevice, type Device } from '../gpu/device.ts';
import { readBuffer } from '../gpu/readback.ts';
import type { KvDType } from '../kernels/kv_cache.ts';
import type { Decoder } from '../models/family.ts';
import { ConfigError, WeightFileError } from '../util/errors.ts';
import { divCeil, roundUp } from '../util/arith.ts';
import { toFloat32 } from '../weights/format/float.ts';
import { headerLength, parseHeader, PREFIX_BYTES } from '../weights/format/safetensors.ts';
import type { ModelSource } from '../weights/source.ts';
import { GREEDY } from './core/sampling.ts';
import { Generator } from './generator.ts';
import { resolveLimits } from './limits.ts';
import { openModel, uploadModel } from './model.ts';

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
    const opened = await openModel(source, options.signal);
    const expected = await readExpected(source, options.signal);
    const loaded = await uploadModel(opened, device, { signal: options.signal });
    return { dir, adapter, ...(await compare(device, loaded, expected, options)) };
  } catch (error) {
    options.signal?.throwIfAborted();
    const failure = device?.failure ?? error;
    const message = failure instanceof Error ? failure.message : String(failure);
    return { dir, ok: false, adapter, tensors: {}, greedy: null, error: message };
  } finally {
    device?.dispose();
  }
}

async function compare(
  device: Device,
  loaded: Decoder,
  expected: ReadonlyMap<string, ReferenceTensor>,
  { tolerance = 1e-4, kvDtype = 'f32' }: ParityOptions,
): Promise<Pick<ParityReport, 'ok' | 'tensors' | 'greedy'>> {
  const inputs = inputRows(expected);
  const prompt = idsOf(expected, 'prompt_ids');
  const greedyIds = idsOf(expected, 'greedy_ids');
  checkIds(loaded.vocab, [...inputs.map(({ ids }) => ids), prompt]);

  const longest = Math.max(1, ...inputs.map(({ ids }) => ids.length));
  const contextLength = Math.max(longest, prompt.length + greedyIds.length);
  // References run past max_position_embeddings where positions allow it.
  const decoder = {
    ...loaded,
    maxPositions: Math.max(loaded.maxPositions, contextLength),
  };
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
  const tensors = await compareTensors(device, generator, inputs, expected);
  const greedy = greedyIds.length > 0 ? await compareGreedy(generator, prompt, greedyIds) : null;
  const differences = Object.values(tensors);
  if (differences.length === 0 && greedy === null) {
    throw new WeightFileError(
      EXPECTED,
      'has no output that we name, expected logits, hidden_states.i or greedy_ids',
    );
  }
  const agrees = differences.every(({ rel }) => rel <= tolerance);
  return { ok: agrees && (greedy?.equal ?? true), tensors, greedy };
}

interface InputRow {
  readonly ids: readonly number[];
  /** Index of the row's first token among batch × tokens. */
  readonly offset: number;
}

async function compareTensors(
  device: Device,
  generator: Generator,
  inputs: readonly InputRow[],
  expected: ReadonlyMap<string, ReferenceTensor>,
): Promise<Record<string, TensorDifference>> {
  const tensors: Record<string, TensorDifference> = {};
  for (const { ids, offset } of inputs) {
    const values = await generator.runner.inspect(ids);
    for (const [name, range] of values) {
      const reference = expected.get(name);
      if (reference === undefined) continue;
      const size = reference.shape.at(-1) ?? 0;
      const bytes = await readBuffer(device, { ...range, size: ids.length * size * 4 });
      const want = reference.values.subarray(offset * size, (offset + ids.length) * size);
      tensors[name] = worse(tensors[name], difference(new Float32Array(bytes), want));
    }
  }
  return tensors;
}

function compareGreedy(
  generator: Generator,
  prompt: readonly number[],
  expected: readonly number[],
): Promise<NonNullable<ParityReport['greedy']>> {
  const actual: number[] = [];
  return new Promise((resolve, reject) => {
    generator.add({
      prompt,
      maxTokens: expected.length,
      stopIds: new Set(),
      sampling: GREEDY,
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

async function readExpected(
  source: ModelSource,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, ReferenceTensor>> {
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

/** The rows of `input_ids` without the padding on their right. */
function inputRows(expected: ReadonlyMap<string, ReferenceTensor>): readonly InputRow[] {
  const inputs = expected.get('input_ids');
  if (inputs === undefined) return [];
  const [batch = 0, tokens = 0] = inputs.shape;
  const mask = expected.get('attention_mask')?.values;
  return Array.from({ length: batch }, (_, row) => {
    const offset = row * tokens;
    const ids = [...inputs.values.subarray(offset, offset + tokens)];
    const length = mask?.subarray(offset, offset + tokens).indexOf(0) ?? -1;
    return { ids: length === -1 ? ids : ids.slice(0, length), offset };
  }).filter(({ ids }) => ids.length > 0);
}

function idsOf(expected: ReadonlyMap<string, ReferenceTensor>, name: string): readonly number[] {
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
