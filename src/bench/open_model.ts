/** Models to measure: from a repository, or with made-up weights. They take token ids, so no tokenizer is read. @module */
import { EncoderQueue } from '../engine/encoder_queue.ts';
import { Generator } from '../engine/generator.ts';
import { encoderBudget, resolveLimits, type ResolvedLimits } from '../engine/limits.ts';
import { openModel, readModelConfig, type OpenedModel } from '../engine/model.ts';
import {
  describePlacement,
  placeModel,
  type Placement,
  type PlaceOptions,
} from '../engine/place.ts';
import { settingsReader } from '../engine/seq2seq_settings.ts';
import type { Device } from '../gpu/device.ts';
import type { WeightForm } from '../kernels/matrix.ts';
import type { ConfigReader } from '../models/config.ts';
import { DECODERS } from '../models/decoders.ts';
import { ENCODER_DECODERS } from '../models/encoder_decoders.ts';
import { ENCODERS } from '../models/encoders.ts';
import type { EncoderModel, Decoder, ModelKind, Models } from '../models/family.ts';
import { familyOf, kindOf, type Families } from '../models/kinds.ts';
import { OutOfMemoryError } from '../util/errors.ts';
import { WeightScope } from '../weights/scope.ts';
import type { ModelSource } from '../weights/source.ts';
import { SyntheticWeights } from '../weights/synthetic.ts';
import { contextOf, fitTest, type BenchTest } from './bench_tests.ts';

/** What is measured: a model's files, or a configuration whose weights are made up in a form. */
export type BenchTarget =
  | { readonly kind: 'files'; readonly source: ModelSource }
  | {
      readonly kind: 'shape';
      readonly name: string;
      readonly config: ConfigReader;
      readonly form: WeightForm;
    };

/** What is told of a model, and of the device it is on. */
interface Described {
  readonly files: SubjectFiles;
  readonly stats: () => ReturnType<typeof describePlacement>;
}

type Describe = (
  device: Device,
  care: Pick<Placement<unknown>, 'kernels' | 'tuner' | 'weights'>,
) => Described;

/** A decoder, or an encoder-decoder, that is ready to be measured. */
export interface GenerativeSubject extends Described {
  readonly kind: 'decoder' | 'seq2seq';
  readonly generator: Generator;
  readonly decoder: Decoder;
  readonly encoder?: EncoderModel | undefined;
  readonly limits: ResolvedLimits;
  /** What a prompt of an encoder-decoder begins with. */
  readonly startIds: readonly number[];
}

/** An encoder that is ready to be measured. */
export interface EncoderSubject extends Described {
  readonly kind: 'encoder';
  readonly queue: EncoderQueue;
  readonly tokenBudget: number;
}

export type BenchSubject = GenerativeSubject | EncoderSubject;

/** What is known of a model. */
export interface SubjectFiles {
  readonly name: string;
  readonly modelType: string;
  readonly parameters: number;
  readonly isMadeUp: boolean;
  /** What matrices are stored in, but for those that it does not suit; `stored`: as in the files. */
  readonly form: WeightForm | 'stored';
  readonly configuration: Readonly<Record<string, unknown>>;
}

export interface OpenOptions extends PlaceOptions {
  /** Memory that a software adapter can have, where it is known. */
  readonly availableBytes?: number | undefined;
  /** Most tokens computed in one step; default: what the engine has. */
  readonly tokenBudget?: number;
}

/** Longest text for an encoder that sets no limit itself. */
const LONGEST_INPUT = 4096;

/** What the target's configuration says it is. @throws {ConfigError} if it is missing or of no model we run */
export async function targetKind(target: BenchTarget, signal?: AbortSignal): Promise<ModelKind> {
  return kindOf(
    target.kind === 'files' ? await readModelConfig(target.source, signal) : target.config,
  );
}

/**
 * Loads a model with room for these tests as far as its own limits go.
 *
 * @returns the model, and the tests cut to its context
 * @throws as `Engine.load`
 */
export async function openSubject(
  target: BenchTarget,
  kind: ModelKind,
  tests: readonly BenchTest[],
  options: OpenOptions,
): Promise<{ readonly subject: BenchSubject; readonly tests: readonly BenchTest[] }> {
  switch (kind) {
    case 'decoder':
      return openDecoder(target, tests, options);
    case 'seq2seq':
      return openSeq2Seq(target, tests, options);
    case 'encoder':
      return openEncoder(target, tests, options);
  }
}

interface Opened {
  readonly subject: BenchSubject;
  readonly tests: readonly BenchTest[];
}

async function openDecoder(
  target: BenchTarget,
  tests: readonly BenchTest[],
  options: OpenOptions,
): Promise<Opened> {
  const { opened, describe } = await open(target, DECODERS, options);
  return placeModel(opened, options, async ({ device, model, ...care }) => {
    const fitted = tests.map((test) =>
      fitTest(test, { contextLength: model.maxPositions, inputLength: 0 }),
    );
    const limits = resolveLimits({ ...options, ...roomFor(fitted) }, model, device.facts);
    const generator = new Generator(device, model, limits);
    await generator.prepare(care);
    const subject = { kind: 'decoder', generator, decoder: model, limits, startIds: [] } as const;
    return { subject: { ...subject, ...describe(device, care) }, tests: fitted };
  });
}

async function openSeq2Seq(
  target: BenchTarget,
  tests: readonly BenchTest[],
  options: OpenOptions,
): Promise<Opened> {
  const { opened, describe } = await open(target, ENCODER_DECODERS, options);
  return placeModel(opened, options, async ({ device, model, ...care }) => {
    const { encoder, decoder } = model;
    const inputLength = Math.min(encoder.maxPositions, LONGEST_INPUT);
    const contextLength = Math.min(decoder.maxPositions, LONGEST_INPUT);
    const fitted = tests.map((test) => fitTest(test, { contextLength, inputLength }));
    const inputs = fitted.map((test) => (test.kind === 'encode' ? test.tokens : 0));
    const room = { ...roomFor(fitted), inputLength: Math.max(SHORT_INPUT, ...inputs) };
    const { kvTokens, ...rest } = room;
    const all = {
      ...options,
      ...rest,
      kvTokens: kvTokens + 2 * room.inputLength * maxStreams(fitted),
    };
    const limits = resolveLimits(all, decoder, device.facts, encoder);
    const generator = new Generator(device, model, limits);
    await generator.prepare(care);
    const { startIds } = settingsReader(opened, decoder.vocab)();
    const subject = { kind: 'seq2seq', generator, decoder, encoder, limits, startIds } as const;
    return { subject: { ...subject, ...describe(device, care) }, tests: fitted };
  });
}

async function openEncoder(
  target: BenchTarget,
  tests: readonly BenchTest[],
  options: OpenOptions,
): Promise<Opened> {
  const { opened, describe } = await open(target, ENCODERS, options);
  return placeModel(opened, { ...options, kvDtype: 'f32' }, async ({ device, model, ...care }) => {
    const inputLength = Math.min(model.maxPositions, LONGEST_INPUT);
    const fitted = tests.map((test) => fitTest(test, { contextLength: 0, inputLength }));
    const { tokenBudget = encoderBudget(device.facts) } = options;
    const queue = new EncoderQueue(device, model, { tokenBudget, maxInFlight: 2 });
    await queue.prepare(care);
    return {
      subject: { kind: 'encoder', queue, tokenBudget, ...describe(device, care) },
      tests: fitted,
    };
  });
}

/** Tokens of a text that an encoder-decoder is given where its decoder is measured. */
export const SHORT_INPUT = 32;

/** Sizes that tests need. */
function roomFor(tests: readonly BenchTest[]): {
  readonly contextLength: number;
  readonly kvTokens: number;
  readonly maxSequences: number;
} {
  const page = 16;
  const needs = tests.map((test) => Math.ceil(contextOf(test) / page + 1) * page * streamsOf(test));
  return {
    contextLength: Math.max(2, ...tests.map(contextOf)),
    kvTokens: Math.max(page, ...needs),
    maxSequences: maxStreams(tests),
  };
}

function streamsOf(test: BenchTest): number {
  return test.kind === 'decode' ? test.streams : 1;
}

function maxStreams(tests: readonly BenchTest[]): number {
  return Math.max(8, ...tests.map(streamsOf));
}

async function open<K extends ModelKind>(
  target: BenchTarget,
  families: Families<K>,
  { signal, availableBytes = Infinity }: OpenOptions,
): Promise<{
  readonly opened: OpenedModel<Models[K]>;
  readonly describe: Describe;
}> {
  if (target.kind === 'files') {
    const opened = await openModel(target.source, families, signal);
    const { name, modelType, parameters, config } = opened;
    const files = { name, modelType, parameters, isMadeUp: false, configuration: config.json };
    const describe: Describe = (device, care) => ({
      files: { ...files, form: care.weights.form },
      stats: () => describePlacement(device, care),
    });
    return { opened, describe };
  }
  const { name, config, form } = target;
  const family = familyOf(config, families);
  const modelType = config.string('model_type');
  let parameters = 0;
  const opened: OpenedModel<Models[K]> = {
    name,
    kind: families.kind,
    modelType,
    parameters,
    config,
    generationConfig: {},
    checkpoint: { tensors: new Map(), files: [], totalBytes: 0 },
    family,
    async makeUp(device) {
      const store = new SyntheticWeights(device, {
        form,
        has: (tensor) => hasTensor(config, tensor),
        mostBytes: device.facts.isSoftware ? availableBytes : Infinity,
      });
      const model = family.load(config, new WeightScope(store));
      parameters = store.parameters;
      await fill(store, `${name} in ${form}`);
      return model;
    },
  };
  const describe: Describe = (device, care) => {
    const files = { name, modelType, parameters, isMadeUp: true, form, configuration: config.json };
    return { files, stats: () => describePlacement(device, care) };
  };
  return { opened, describe };
}

/** @throws {OutOfMemoryError} naming the memory that all of the weights take */
async function fill(store: SyntheticWeights, what: string): Promise<void> {
  try {
    await store.fill();
  } catch (cause) {
    if (!(cause instanceof OutOfMemoryError)) throw cause;
    const size = `${(store.sizeBytes / 2 ** 30).toFixed(1)} GiB`;
    const message = `bench: the weights of ${what} take ${size}, more than there is; choose a smaller form or shape`;
    throw new OutOfMemoryError(message, { cause });
  }
}

/** Whether the checkpoint of a model with this configuration would have a tensor that not all of its kind have. */
function hasTensor(config: ConfigReader, name: string): boolean {
  if (name === 'lm_head.weight') return true;
  // Switch transformers have experts in every second layer, unless told otherwise.
  const layer =
    /^(encoder|decoder)\.block\.(\d+)\.layer\.\d+\.mlp\.router\.classifier\.weight$/.exec(name);
  if (layer === null || config.string('model_type') !== 'switch_transformers') return false;
  const step = config.size(`${layer[1] ?? ''}_sparse_step`, 2);
  return step === 1 || Number(layer[2]) % step === 1;
}
