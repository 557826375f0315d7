import type { Work } from '../gpu/cost.ts';
import type { Device } from '../gpu/device.ts';
import { workDone } from '../gpu/prompt.ts';
import { Recorder } from '../gpu/recorder.ts';
import type { Recording } from '../gpu/recording.ts';
import type { Region } from '../gpu/state_buffer.ts';
import { StepEncoder } from '../gpu/step_encoder.ts';
import type { Counts, Dim, Tensor } from '../gpu/tensor.ts';
import { PassTimer } from '../gpu/timing.ts';
import { createKvLayer, type KvLayer } from '../kernels/kv_cache.ts';
import { FEW_ROWS } from '../kernels/matmul.ts';
import { HISTORY_PROMPT, sample, type SampleMemory } from '../kernels/sample.ts';
import { beamCandidates } from '../kernels/beam_candidates.ts';
import { copyPages } from '../kernels/copy_pages.ts';
import { gatherRows } from '../kernels/gather_rows.ts';
import type { Decoder, Seq2SeqModel } from '../models/family.ts';
import type { Step } from '../nn/step.ts';
import { DeviceLimitError } from '../util/errors.ts';
import type { Request } from './core/request.ts';
import { GREEDY, usesHistory, type SamplingParams } from './core/sampling.ts';
import type { ScheduledStep, StepEntry } from './core/scheduled_step.ts';
import { EncoderBatches } from './encoder_batches.ts';
import { countLastTokens } from './last_tokens.ts';
import type { ResolvedLimits } from './limits.ts';
import type { RunnerTotals, StepRunner } from './residency.ts';
import { bidirectionalWork, causalWork, type RunStep } from './run_step.ts';
import type { TableWidths } from './step_regions.ts';
import { BEAMS, SAMPLES, StepResults, type EntryResult } from './step_results.ts';
import {
  fillPages,
  StepState,
  type BeamRules,
  type PlannedEntry,
  type TableRows,
} from './step_state.ts';

/** An encoder's task whose result is only stored for the decoder. */
const STORE = { outputs: [], selects: false };

/** What a step needs to know of its requests. */
export interface StepSource extends TableRows {
  /** How the next token is chosen; undefined for a beam. */
  samplingOf(entry: StepEntry): SamplingParams | undefined;
  /** What the next tokens of a beam are chosen from. */
  rulesOf(request: Request): BeamRules | undefined;
}

/** A step that has been encoded, but not submitted, or not its last part. */
interface EncodedStep {
  readonly planned: readonly PlannedEntry[];
  readonly counts: Counts;
  readonly recording: Recording;
  readonly encoder: GPUCommandEncoder;
}

/**
 * Runs scheduled steps on the GPU: fills step state, replays the recording for the step's size, reads back ids.
 * Everything is allocated here, once; a step encodes one compute pass and creates no GPU object.
 */
export class Runner implements StepRunner {
  readonly #device: Device;
  readonly #decoder: Decoder;
  readonly #limits: ResolvedLimits;
  readonly #widths: TableWidths;
  readonly #state: StepState;
  readonly #layers: readonly KvLayer[];
  readonly #memory: SampleMemory;
  readonly #results: StepResults;
  /** The encoder whose results the decoder attends to, if it has one. */
  readonly #encoders: EncoderBatches | undefined;
  /** Tokens a recording is made for: one stream, as many as the few-row kernels take, and the most. */
  readonly #capacities: readonly number[];
  /** By capacity, and whether there are beams. */
  readonly #recordings = new Map<string, Promise<Recording>>();
  #lastStep: (() => RunStep) | undefined;
  #steps = 0;
  #dispatches = 0;
  readonly #timer: PassTimer | undefined;
  #gpuMs = 0;

  /**
   * Allocates the KV cache and step state.
   *
   * @throws {DeviceLimitError} if the device cannot hold them; running out of memory shows at {@link prepare}
   */
  constructor(
    device: Device,
    model: Decoder | Seq2SeqModel,
    limits: ResolvedLimits,
    widths: TableWidths,
  ) {
    const decoder = 'decoder' in model ? model.decoder : model;
    const { maxSequences, pageSize, kvDtype, pages, maxInFlight, tokenBudget } = limits;
    this.#device = device;
    this.#decoder = decoder;
    this.#limits = limits;
    this.#widths = widths;
    this.#capacities = [1, FEW_ROWS, tokenBudget].filter((capacity) => capacity <= tokenBudget);
    this.#state = new StepState(device, decoder, limits, widths);
    const { layers, kvHeads, headDim } = decoder.kv;
    const shape = { kvHeads, headDim, pageSize, dtype: kvDtype };
    this.#layers = Array.from({ length: layers }, () => createKvLayer(device, pages, shape));
    const history = [maxSequences, decoder.vocab];
    this.#memory = {
      history: device.createTensor('state', 'token history', 'u32', history),
      lastTokens: device.createTensor('state', 'last tokens', 'u32', [countLastTokens(limits)]),
    };
    if ('decoder' in model) {
      this.#encoders = new EncoderBatches(device, model.encoder, {
        crossWidth: widths.crossTableWidth,
        use: (hidden, step, attention) =>
          model.storeCross(hidden, step, { attention, kv: (layer) => this.#layer(layer) }),
      });
    }
    this.#results = new StepResults(device, limits, {
      vocab: decoder.vocab,
      hasBeams: 'decoder' in model,
    });
    if (limits.measureGpuTime) this.#timer = PassTimer.create(device, maxInFlight + 1);
  }

  /** The step that was submitted last, without its encoder; for measurements. */
  get lastStep(): RunStep | undefined {
    return this.#lastStep?.();
  }

  /** Ids on the GPU; see last_tokens.ts. */
  get lastTokens(): { readonly buffer: GPUBuffer; readonly offset: number } {
    const { memory } = this.#memory.lastTokens;
    if (memory.kind !== 'buffer') throw new TypeError('last tokens: not in a buffer');
    return memory;
  }

  get totals(): RunnerTotals {
    const gpuMs = this.#timer && { gpuMs: this.#gpuMs };
    return { steps: this.#steps, dispatches: this.#dispatches, ...gpuMs };
  }

  /**
   * Records and compiles steps of every size, so that no request waits for it or is too large.
   *
   * @throws {DeviceLimitError} if the device cannot take the longest input of an encoder
   * @throws {OutOfMemoryError} if the GPU could not grant the memory
   * @throws {ShaderError} if a shader does not compile
   */
  async prepare(): Promise<void> {
    // The largest first: the others then find all the scratch memory they need.
    await this.#prepareEncoder();
    const largestFirst = this.#capacities.toReversed();
    await Promise.all(largestFirst.map((capacity) => this.#recordingFor(capacity, false)));
    await this.#device.settled();
  }

  forget(): void {
    this.#recordings.clear();
    this.#encoders?.forget();
  }

  async #prepareEncoder(): Promise<void> {
    const { inputLength } = this.#limits;
    const ids = Array.from({ length: inputLength }, () => 0);
    try {
      await this.#encoders?.prepare([{ ids }], STORE);
    } catch (error) {
      if (!(error instanceof DeviceLimitError)) throw error;
      const { limit, available, needed } = error;
      const advice = `an input of ${inputLength} tokens does not fit; choose a smaller inputLength`;
      throw new DeviceLimitError(limit, available, needed, advice);
    }
  }

  /**
   * Submits one step. The scheduler may change as soon as this returns: all that the step needs has been copied.
   *
   * @param before - submits what the step needs
   * @returns when submitted, a promise of a result for each entry of the step; empty for those that do not sample
   * @throws {QuernError} if the device has failed
   */
  async submit(
    step: ScheduledStep,
    source: StepSource,
    before?: () => Promise<void>,
  ): Promise<{ readonly results: Promise<readonly EntryResult[]> }> {
    const encoded = await this.#encode(step, source, before);
    const { planned, counts, recording, encoder } = encoded;
    const readTime = this.#timer?.copy(encoder);
    const readResults = this.#results.copy(encoder, recording, counts, planned, this.lastTokens);
    this.#device.gpu.queue.submit([encoder.finish()]);
    const timed = readTime?.().then((ms) => (this.#gpuMs += ms));
    return { results: Promise.all([readResults(), timed]).then(([results]) => results) };
  }

  /**
   * Submits one step of which nothing is read back.
   *
   * @param finish - encodes what comes after it in the same submission
   * @throws {QuernError} if the device has failed
   */
  async run(
    step: ScheduledStep,
    source: StepSource,
    finish: (encoder: GPUCommandEncoder) => void,
  ): Promise<void> {
    const { encoder } = await this.#encode(step, source);
    finish(encoder);
    this.#device.gpu.queue.submit([encoder.finish()]);
  }

  async #encode(
    step: ScheduledStep,
    source: StepSource,
    before?: () => Promise<void>,
  ): Promise<EncodedStep> {
    const { encodes } = step;
    const planned = step.entries.map((entry): PlannedEntry => {
      const { request } = entry;
      return {
        entry,
        sampling: source.samplingOf(entry) ?? GREEDY,
        rules: source.rulesOf(request),
      };
    });
    const counts = this.#state.fill(step, planned, source);
    const histories = planned
      .filter(({ entry, sampling }) => entry.isFirst && usesHistory(sampling))
      .map(({ entry: { slot, request } }) => ({ slot, words: this.#historyOf(request) }));
    const crossRows = encodes.map((request) => {
      const row = new Uint32Array(this.#widths.crossTableWidth);
      source.fillCrossTableRow(request, row);
      return row;
    });
    const inputs = encodes.map(({ encoderInput = [] }) => ({ ids: encoderInput }));
    const hasBeams = planned.some(({ rules }) => rules !== undefined);
    const recording = await this.#recordingFor(step.numTokens, hasBeams);
    const encode = inputs.length > 0 ? await this.#encoders?.prepare(inputs, STORE) : undefined;
    await before?.();
    this.#device.throwIfFailed();

    for (const { slot, words } of histories) this.#writeHistory(slot, words);
    this.#state.upload(step.numTokens);
    const encoding = encode?.((i, row) => row.set(crossRows[i] ?? []));
    const steps = new StepEncoder(this.#device.gpu, this.#timer);
    if (encoding !== undefined) {
      const work = bidirectionalWork(
        encoding.counts,
        inputs.map(({ ids }) => ids.length),
      );
      this.#dispatches += steps.replay(encoding.recording, encoding.counts, work);
    }
    const { window } = this.#decoder.kv;
    const work = (): Work => causalWork(counts, step.entries, window);
    const isShort = step.numTokens <= FEW_ROWS;
    this.#dispatches += steps.replay(recording, counts, isShort ? undefined : work());
    this.#lastStep = () => ({ recording, work: work() });
    this.#steps += 1;
    return { planned, counts, recording, encoder: steps.end() };
  }

  /**
   * Runs the encoder on a sequence, stores what the decoder attends to, and returns every value that the encoder names,
   * for all positions. Uses the pages that {@link inspect} takes for it: nothing else may be running.
   *
   * @returns the values by name, [tokens, size] each; valid until the next step
   */
  async inspectEncoder(ids: readonly number[]): Promise<ReadonlyMap<string, GPUBufferBinding>> {
    const sequence = { ids, positions: ids.map((_, i) => i) };
    const task = { outputs: [], selects: true, inspects: true };
    const fill = await this.#encoders?.prepare([sequence], task);
    const ready = fill?.((_, row) => fillPages(row, this.#widths.tableWidth));
    return ready === undefined ? new Map() : this.#inspect(ready.recording, ready.counts);
  }

  /**
   * Runs a whole sequence in one step and returns every value the model names, for all positions. Uses the first
   * pages of the cache: nothing else may be running.
   *
   * @param tokens - at most `tokenBudget` ids
   * @param crossLength - tokens that {@link inspectEncoder} was last given
   * @returns the values by name, [tokens, size] each; valid until the next step
   */
  async inspect(
    tokens: readonly number[],
    crossLength = 0,
  ): Promise<ReadonlyMap<string, GPUBufferBinding>> {
    const samples: Dim = { count: 'samples', capacity: tokens.length };
    const recording = await this.#record(tokens.length, { samples, inspects: true });
    const counts = this.#state.fillSequence(tokens, crossLength);
    this.#state.upload(tokens.length);
    return this.#inspect(recording, counts);
  }

  async #inspect(
    recording: Recording,
    counts: Counts,
  ): Promise<ReadonlyMap<string, GPUBufferBinding>> {
    const { gpu } = this.#device;
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    recording.replay(pass, counts);
    pass.end();
    gpu.queue.submit([encoder.finish()]);
    await workDone(gpu.queue);
    await this.#device.settled();
    return recording.allKept();
  }

  /** The recording for the smallest capacity that `numTokens` fit in. */
  #recordingFor(numTokens: number, hasBeams: boolean): Promise<Recording> {
    const capacity = this.#capacities.find((most) => numTokens <= most) ?? numTokens;
    const key = `${capacity}${hasBeams ? ' with beams' : ''}`;
    let recording = this.#recordings.get(key);
    if (recording === undefined) {
      const most = Math.min(capacity, this.#limits.maxRows);
      const samples: Dim = { count: 'samples', capacity: most };
      recording = this.#record(capacity, { samples, hasBeams });
      recording.catch(() => this.#recordings.delete(key));
      this.#recordings.set(key, recording);
    }
    return recording;
  }

  async #record(
    capacity: number,
    {
      samples,
      hasBeams = false,
      inspects = false,
    }: { readonly samples: Dim; readonly hasBeams?: boolean; readonly inspects?: boolean },
  ): Promise<Recording> {
    const { regions } = this.#state;
    const recorder = new Recorder(this.#device, regions.counts.tensor);
    const tokens: Dim = { count: 'tokens', capacity };
    const rowsOf = ({ tensor }: Region, rows: Dim): Tensor => ({
      ...recorder.tensor(tensor),
      shape: [rows, ...tensor.shape.slice(1)],
      sizeBytes: (tensor.sizeBytes / Number(tensor.shape[0])) * rows.capacity,
    });
    const sampleRows = rowsOf(regions.sampleRows, samples);
    const step: Step = {
      tokens: rowsOf(regions.tokens, tokens),
      lastTokens: this.#memory.lastTokens,
      positionIds: rowsOf(regions.positionIds, tokens),
      sampleRows,
      rotary: this.#decoder.ropes.flatMap((_, i) => {
        const region = regions[`rotary${i}`];
        return region === undefined ? [] : [rowsOf(region, tokens)];
      }),
      attention: this.#state.attention,
      cross: this.#encoders && this.#state.cross,
      kv: (layer) => this.#layer(layer),
      tap(name, value) {
        // A copy, because later layers may change the value in place.
        if (inspects) recorder.keep(name, gatherRows(value, sampleRows));
        return value;
      },
    };
    // Only beams share pages that they go on to write.
    if (hasBeams) for (const kv of this.#layers) copyPages(recorder, regions.copies.tensor, kv);
    const logits = this.#decoder.forward(step);
    if (!inspects) recorder.keep(SAMPLES, sample(logits, this.#state.sampling, this.#memory));
    if (hasBeams) recorder.keep(BEAMS, beamCandidates(logits, this.#state.beams));
    return recorder.finish();
  }

  #layer(index: number): KvLayer {
    const layer = this.#layers[index];
    if (layer === undefined) throw new RangeError(`KV cache: there is no layer ${index}`);
    return layer;
  }

  /** The row of token counts that a request starts its slot with; see kernels/sample.ts. */
  #historyOf({ tokens, numPrompt }: Request): Uint32Array<ArrayBuffer> {
    const words = new Uint32Array(this.#decoder.vocab);
    for (const [i, token] of tokens.entries()) {
      const seen = words[token] ?? 0;
      words[token] = i < numPrompt ? HISTORY_PROMPT : seen + 1;
    }
    return words;
  }

  #writeHistory(slot: number, words: Uint32Array<ArrayBuffer>): void {
    const { memory } = this.#memory.history;
    if (memory.kind !== 'buffer') return;
    this.#device.gpu.queue.writeBuffer(memory.buffer, slot * words.byteLength, words);
  }
}
