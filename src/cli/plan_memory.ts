/** How much GPU memory a model of each kind would take: the engine sets it up on paper. @module */
import { GREEDY } from '../engine/core/sampling.ts';
import type { EncoderTask } from '../engine/encoder_batches.ts';
import { EncoderRunner } from '../engine/encoder_runner.ts';
import { planEncoding } from '../engine/encoding_plan.ts';
import { Generator } from '../engine/generator.ts';
import {
  DEFAULT_CONTEXT,
  DEFAULT_INPUT,
  DEFAULT_OUTPUT,
  encoderBudget,
  resolveLimits,
  type ResolvedLimits,
  type Seq2SeqLimits,
} from '../engine/limits.ts';
import type { WeightsReport } from '../engine/api.ts';
import type { ModelFiles, OpenedModel } from '../engine/model.ts';
import { formDecision, sizeWeights } from '../engine/weight_forms.ts';
import type { Device } from '../gpu/device.ts';
import type { DeviceFacts } from '../gpu/facts.ts';
import type { MemoryLedger } from '../gpu/memory.ts';
import type { Decoder, EncoderModel, ModelKind, Models, Seq2SeqModel } from '../models/family.ts';
import { DeviceLimitError, RequestError } from '../util/errors.ts';
import type { WeightChoice, WeightOption } from '../weights/forms.ts';
import { WeightLoader } from '../weights/loader.ts';
import { WeightScope } from '../weights/scope.ts';
import { formatBytes } from './format.ts';
import { paperDevice } from './paper_device.ts';

/** Sizes that a command line may give. */
export type AskedSizes = Pick<Seq2SeqLimits, 'contextLength' | 'inputLength' | 'kvDtype'>;

/** What is planned for: sizes, and what weights are stored in. */
export interface AskedPlan extends AskedSizes {
  readonly form: WeightChoice;
}

/** What memory is planned for: a context of a decoder, texts for an encoder, or both lengths of an encoder-decoder. */
export type PlannedSize =
  | { readonly contextLength: number; readonly inputLength?: number }
  | { readonly texts: number; readonly textLength: number };

/** Bytes of GPU memory at a certain size, or why it cannot be had. */
export type MemoryPlan = PlannedSize &
  (
    | {
        readonly fits: true;
        /** Tokens the KV cache holds, where there is one. */
        readonly kvTokens?: number;
        readonly bytes: ReturnType<MemoryLedger['report']>;
      }
    | { readonly fits: false; readonly reason: string }
  );

/** Plans one model. */
export interface MemoryPlanner {
  readonly kind: ModelKind;
  readonly files: ModelFiles;
  /** What loading would store weights in. */
  chooseForm(option: WeightOption, facts: DeviceFacts): WeightsReport;
  /** Bytes of the weights in a form. */
  weightBytes(form: WeightChoice): number;
  /**
   * @returns plans for the size asked for, or that loading would take, and then for others
   * @throws {RequestError} if a length asked for is longer than the model's
   */
  plan(asked: AskedPlan, facts: DeviceFacts, signal: AbortSignal): Promise<readonly MemoryPlan[]>;
}

/** By the kind of a model: for `openAnyModel`. */
export const MEMORY_PLANNERS: {
  readonly [K in ModelKind]: (opened: OpenedModel<Models[K]>) => MemoryPlanner;
} = {
  decoder: (files) => ({
    kind: 'decoder',
    ...weightsOf(files),
    plan(asked, facts, signal) {
      const { maxPositions } = loadOn(paperDevice(withoutLimits(facts)), files, 'stored');
      const usual = Math.min(maxPositions, DEFAULT_CONTEXT);
      const contexts = lengthsToPlan(asked.contextLength ?? usual, 1024, maxPositions);
      const sizes = contexts.map((contextLength) => ({ contextLength }));
      return planEach(sizes, signal, (size) => planDecoder(files, { ...asked, ...size }, facts));
    },
  }),
  encoder: (files) => ({
    kind: 'encoder',
    ...weightsOf(files),
    plan({ inputLength, form }, facts, signal) {
      const encoder = loadOn(paperDevice(withoutLimits(facts)), files, 'stored');
      const { maxPositions } = encoder;
      if (inputLength !== undefined && inputLength > maxPositions) {
        throw new RequestError(
          `plan: a text of ${inputLength} tokens, expected at most the model's max_position_embeddings ${maxPositions}`,
        );
      }
      const longest = Math.min(maxPositions, LONGEST);
      const lengths = lengthsToPlan(inputLength ?? Math.min(longest, USUAL_TEXT), 128, longest);
      const sizes = lengths.map((textLength) => ({ texts: 1, textLength }));
      // As many as the queue would put into one step.
      const runner = new EncoderRunner(paperDevice(facts), encoder, 1);
      const most = runner.rowsFor(defaultTask(encoder).outputs);
      const textLength = Math.min(longest, SHORT_TEXT);
      const texts = Math.floor(Math.min(encoderBudget(facts), most) / textLength);
      if (texts > 1) sizes.push({ texts, textLength });
      return planEach(sizes, signal, (size) => planEncoder(files, { ...size, form }, facts));
    },
  }),
  seq2seq: (files) => ({
    kind: 'seq2seq',
    ...weightsOf(files),
    plan(asked, facts, signal) {
      const { encoder, decoder } = loadOn(paperDevice(withoutLimits(facts)), files, 'stored');
      const contextLength = asked.contextLength ?? Math.min(decoder.maxPositions, DEFAULT_OUTPUT);
      const usual = Math.min(encoder.maxPositions, DEFAULT_INPUT);
      const longest = Math.min(encoder.maxPositions, LONGEST);
      const inputs = lengthsToPlan(asked.inputLength ?? usual, 256, longest);
      const sizes = inputs.map((inputLength) => ({ contextLength, inputLength }));
      return planEach(sizes, signal, (size) => planSeq2Seq(files, { ...asked, ...size }, facts));
    },
  }),
};

/** Steps under way at once, as an encoder is loaded by default. */
const DEFAULT_IN_FLIGHT = 2;
/** Longest text to plan for where the model sets no limit. */
const LONGEST = 8192;
/** Tokens of a text that an encoder is planned for first. */
const USUAL_TEXT = 512;
/** Tokens of texts that fill a step together. */
const SHORT_TEXT = 32;

/** The length asked for, then powers of four from `least` up to the longest, and that. */
export function lengthsToPlan(first: number, least: number, longest: number): readonly number[] {
  const others = [longest];
  for (let length = least; length < longest; length *= 4) others.push(length);
  return [first, ...others.filter((length) => length !== first).toSorted((a, b) => a - b)];
}

type Outcome =
  | { readonly fits: true; readonly kvTokens?: number; readonly device: Device }
  | { readonly fits: false; readonly reason: string };

async function planEach<S extends PlannedSize>(
  sizes: readonly S[],
  signal: AbortSignal,
  run: (size: S) => Promise<Outcome>,
): Promise<readonly MemoryPlan[]> {
  const plans: MemoryPlan[] = [];
  for (const size of sizes) {
    const outcome = await unlessTooLarge(run(size));
    signal.throwIfAborted();
    if (!outcome.fits) {
      plans.push({ ...size, ...outcome });
      continue;
    }
    const { device, ...rest } = outcome;
    plans.push({ ...size, ...rest, bytes: device.memory.report() });
  }
  return plans;
}

async function unlessTooLarge(outcome: Promise<Outcome>): Promise<Outcome> {
  try {
    return await outcome;
  } catch (error) {
    if (!(error instanceof DeviceLimitError)) throw error;
    return { fits: false, reason: error.message };
  }
}

/** Up to the first step. */
async function planDecoder(
  files: OpenedModel<Decoder>,
  asked: AskedPlan,
  facts: DeviceFacts,
): Promise<Outcome> {
  const device = paperDevice(facts);
  const decoder = loadOn(device, files, asked.form);
  const limits = resolveLimits(asked, decoder, facts);
  const generator = new Generator(device, decoder, limits);
  await generator.prepare();
  const { capacity } = generator.scheduler;
  return capacity < limits.contextLength
    ? cacheTooSmall(facts, `${capacity} tokens`)
    : { fits: true, kvTokens: kvTokensOf(limits), device };
}

/** Up to the first step of a request with the longest input. */
async function planSeq2Seq(
  files: OpenedModel<Seq2SeqModel>,
  asked: AskedPlan,
  facts: DeviceFacts,
): Promise<Outcome> {
  let onSubmit = (): void => undefined;
  const device = paperDevice(facts, () => onSubmit());
  const model = loadOn(device, files, asked.form);
  const limits = resolveLimits(asked, model.decoder, facts, model.encoder);
  const { contextLength, inputLength } = limits;
  const generator = new Generator(device, model, limits);
  await generator.prepare();
  const capacity = generator.scheduler.maxLength(inputLength, 1) - 1;
  if (capacity < contextLength) {
    return cacheTooSmall(facts, `an input and ${Math.max(0, capacity)} tokens`);
  }
  await new Promise<void>((resolve, reject) => {
    onSubmit = resolve;
    submitOne(generator, inputLength, reject);
  });
  return { fits: true, kvTokens: kvTokensOf(limits), device };
}

function submitOne(
  generator: Generator,
  inputLength: number,
  onError: (error: Error) => void,
): void {
  generator.add({
    prompt: [0],
    encoderInput: zeros(inputLength),
    maxTokens: 1,
    stopIds: new Set(),
    sampling: GREEDY,
    onToken: () => undefined,
    onError,
  });
}

/** Up to the first step, with what is returned where nothing else is asked for. */
async function planEncoder(
  files: OpenedModel<EncoderModel>,
  asked: { readonly texts: number; readonly textLength: number; readonly form: WeightChoice },
  facts: DeviceFacts,
): Promise<Outcome> {
  const { texts, textLength, form } = asked;
  const device = paperDevice(facts);
  const encoder = loadOn(device, files, form);
  const runner = new EncoderRunner(device, encoder, DEFAULT_IN_FLIGHT);
  await runner.prepare();
  const batch = Array.from({ length: texts }, () => ({ ids: zeros(textLength) }));
  await runner.submit(batch, defaultTask(encoder));
  return { fits: true, device };
}

/** What `encode` asks for unless told otherwise. */
function defaultTask(encoder: EncoderModel): EncoderTask {
  return planEncoding({}, { ...encoder, architecture: '', sentence: undefined }).task;
}

function weightsOf<Model>(
  files: OpenedModel<Model>,
): Pick<MemoryPlanner, 'files' | 'chooseForm' | 'weightBytes'> {
  return {
    files,
    chooseForm: (option, facts) => formDecision(files, option)(facts),
    weightBytes: (form) => sizeWeights(files, form).bytes,
  };
}

function loadOn<Model>(
  device: Device,
  { config, family, checkpoint }: OpenedModel<Model>,
  form: WeightChoice,
): Model {
  return family.load(config, new WeightScope(new WeightLoader(device, checkpoint, form)));
}

/** The same device with room for any tensor, to read a model that may not fit the real one. */
function withoutLimits(facts: DeviceFacts): DeviceFacts {
  const unlimited = { maxStorageBufferBindingSize: Infinity, maxBufferSize: Infinity };
  return { ...facts, limits: { ...facts.limits, ...unlimited } };
}

function cacheTooSmall({ limits }: DeviceFacts, found: string): Outcome {
  const binding = formatBytes(limits.maxStorageBufferBindingSize);
  return {
    fits: false,
    reason: `the keys of a layer must fit in a binding of ${binding}: ${found} do`,
  };
}

function kvTokensOf({ pages, pageSize }: ResolvedLimits): number {
  return pages * pageSize;
}

function zeros(length: number): readonly number[] {
  return Array.from({ length }, () => 0);
}
