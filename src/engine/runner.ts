import type { Device } from '../gpu/device.ts';
import { ReadbackRing } from '../gpu/readback.ts';
import { Recorder } from '../gpu/recorder.ts';
import type { Recording } from '../gpu/recording.ts';
import type { Counts, Dim, Tensor } from '../gpu/tensor.ts';
import { PassTimer } from '../gpu/timing.ts';
import { createKvLayer, type KvLayer } from '../kernels/kv_cache.ts';
import { FEW_ROWS } from '../kernels/matmul.ts';
import {
  decodeSampleRow,
  HISTORY_PROMPT,
  sample,
  SAMPLE_RESULT_WORDS,
  type SampleMemory,
  type SampleResult,
} from '../kernels/sample.ts';
import { gatherRows } from '../kernels/gather_rows.ts';
import type { Decoder } from '../models/family.ts';
import type { Step } from '../nn/step.ts';
import type { EngineStats } from './api.ts';
import type { Request } from './core/request.ts';
import { usesHistory, type SamplingParams } from './core/sampling.ts';
import type { ScheduledStep } from './core/scheduled_step.ts';
import type { ResolvedLimits } from './limits.ts';
import { StepState } from './step_state.ts';

/** Name under which a recording keeps the sampler's results. */
const RESULTS = 'results';

/**
 * Runs scheduled steps on the GPU: fills step state, replays the recording for the step's size, reads back ids.
 * Everything is allocated here, once; a step encodes one compute pass and creates no GPU object.
 */
export class Runner {
  readonly #device: Device;
  readonly #decoder: Decoder;
  readonly #limits: ResolvedLimits;
  readonly #state: StepState;
  readonly #layers: readonly KvLayer[];
  readonly #memory: SampleMemory;
  readonly #ring: ReadbackRing;
  /** Tokens a recording is made for: one stream, as many as the few-row kernels take, and the most. */
  readonly #capacities: readonly number[];
  readonly #recordings = new Map<number, Promise<Recording>>();
  #steps = 0;
  #dispatches = 0;
  readonly #timer: PassTimer | undefined;
  #gpuMs = 0;

  /**
   * Allocates the KV cache and step state.
   *
   * @param tableWidth - entries in a sequence's block table
   * @throws {DeviceLimitError} if the device cannot hold them; running out of memory shows at {@link prepare}
   */
  constructor(device: Device, decoder: Decoder, limits: ResolvedLimits, tableWidth: number) {
    const { maxSequences, pageSize, kvDtype, pages, maxInFlight, tokenBudget } = limits;
    this.#device = device;
    this.#decoder = decoder;
    this.#limits = limits;
    this.#capacities = [1, FEW_ROWS, tokenBudget].filter((capacity) => capacity <= tokenBudget);
    this.#state = new StepState(device, decoder, limits, tableWidth);
    const { layers, kvHeads, headDim } = decoder.kv;
    const shape = { kvHeads, headDim, pageSize, dtype: kvDtype };
    this.#layers = Array.from({ length: layers }, () => createKvLayer(device, pages, shape));
    const history = [maxSequences, decoder.vocab];
    this.#memory = {
      history: device.createTensor('state', 'token history', 'u32', history),
      lastTokens: device.createTensor('state', 'last tokens', 'u32', [maxSequences]),
    };
    this.#ring = new ReadbackRing(device, maxInFlight + 1, maxSequences * SAMPLE_RESULT_WORDS * 4);
    if (limits.measureGpuTime) this.#timer = PassTimer.create(device, maxInFlight + 1);
  }

  get totals(): Pick<EngineStats['totals'], 'steps' | 'dispatches' | 'gpuMs'> {
    const gpuMs = this.#timer && { gpuMs: this.#gpuMs };
    return { steps: this.#steps, dispatches: this.#dispatches, ...gpuMs };
  }

  /**
   * Records and compiles steps of every size, so that no request waits for it.
   *
   * @throws {OutOfMemoryError} if the GPU could not grant the memory
   * @throws {ShaderError} if a shader does not compile
   */
  async prepare(): Promise<void> {
    // The largest first: the others then find all the scratch memory they need.
    const largestFirst = this.#capacities.toReversed();
    await Promise.all(largestFirst.map((capacity) => this.#recordingFor(capacity)));
    await this.#device.settled();
  }

  /**
   * Submits one step. The scheduler may change as soon as this returns: all that the step needs has been copied.
   *
   * @param samplingOf - sampling parameters of each entry's request
   * @returns when submitted, a promise of one result for each entry of the step; undefined for those that do not sample
   * @throws {QuernError} if the device has failed
   */
  async submit(
    step: ScheduledStep,
    samplingOf: (request: Request) => SamplingParams,
    fillTableRow: (request: Request, row: Uint32Array) => void,
  ): Promise<{ readonly results: Promise<readonly (SampleResult | undefined)[]> }> {
    const counts = this.#state.fill(step, samplingOf, fillTableRow);
    const histories = step.entries
      .filter(({ isFirst, request }) => isFirst && usesHistory(samplingOf(request)))
      .map(({ slot, request }) => ({ slot, words: this.#historyOf(request) }));
    const topCounts = step.entries.map(({ request }) =>
      Math.min(samplingOf(request).topLogprobs ?? 0, this.#decoder.vocab),
    );
    const recording = await this.#recordingFor(step.numTokens);
    this.#device.throwIfFailed();

    for (const { slot, words } of histories) this.#writeHistory(slot, words);
    this.#state.upload(step.numTokens);
    const { gpu } = this.#device;
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass(this.#timer?.pass);
    this.#dispatches += recording.replay(pass, counts);
    this.#steps += 1;
    pass.end();
    const readTime = this.#timer?.copy(encoder);
    const readResults = this.#copyResults(encoder, recording, counts);
    gpu.queue.submit([encoder.finish()]);
    const timed = readTime?.().then((ms) => (this.#gpuMs += ms));
    const results =
      readResults === undefined
        ? gpu.queue.onSubmittedWorkDone().then(() => step.entries.map(() => undefined))
        : readResults((bytes) => decodeResults(step, bytes, topCounts));
    return { results: Promise.all([results, timed]).then(([result]) => result) };
  }

  /**
   * Encodes the reading of the sampler's results, up to the last row's id where no log-probabilities were asked for;
   * undefined if the step has none.
   */
  #copyResults(
    encoder: GPUCommandEncoder,
    recording: Recording,
    { samples, candidates }: Counts,
  ): ReturnType<ReadbackRing['copy']> | undefined {
    const source = recording.kept(RESULTS);
    if (samples === 0 || source === undefined) return undefined;
    const lastRowWords = candidates > 0 ? SAMPLE_RESULT_WORDS : 2;
    const sizeBytes = ((samples - 1) * SAMPLE_RESULT_WORDS + lastRowWords) * 4;
    return this.#ring.copy(encoder, source.buffer, source.offset ?? 0, sizeBytes);
  }

  /**
   * Runs a whole sequence in one step and returns every value the model names, for all positions. Uses the first
   * pages of the cache: nothing else may be running.
   *
   * @param tokens - at most `tokenBudget` ids
   * @returns the recording's kept values by name, [tokens, size] each; valid until the next step
   */
  async inspect(tokens: readonly number[]): Promise<ReadonlyMap<string, GPUBufferBinding>> {
    const rows: Dim = { count: 'samples', capacity: tokens.length };
    const recording = await this.#record(tokens.length, rows, true);
    const counts = this.#state.fillSequence(tokens);
    this.#state.upload(tokens.length);
    const { gpu } = this.#device;
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    recording.replay(pass, counts);
    pass.end();
    gpu.queue.submit([encoder.finish()]);
    await gpu.queue.onSubmittedWorkDone();
    await this.#device.settled();
    const values = new Map<string, GPUBufferBinding>();
    for (const name of recording.keptNames) {
      const value = recording.kept(name);
      if (value !== undefined) values.set(name, value);
    }
    return values;
  }

  /** The recording for the smallest capacity that `numTokens` fit in. */
  #recordingFor(numTokens: number): Promise<Recording> {
    const capacity = this.#capacities.find((most) => numTokens <= most) ?? numTokens;
    let recording = this.#recordings.get(capacity);
    if (recording === undefined) {
      const most = Math.min(capacity, this.#limits.maxSequences);
      recording = this.#record(capacity, { count: 'samples', capacity: most }, false);
      recording.catch(() => this.#recordings.delete(capacity));
      this.#recordings.set(capacity, recording);
    }
    return recording;
  }

  async #record(capacity: number, samples: Dim, inspects: boolean): Promise<Recording> {
    const { regions } = this.#state;
    const recorder = new Recorder(this.#device, regions.counts.tensor);
    const tokens: Dim = { count: 'tokens', capacity };
    const resize = (tensor: Tensor, rows: Dim): Tensor => ({
      ...tensor,
      shape: [rows, ...tensor.shape.slice(1)],
      sizeBytes: (tensor.sizeBytes / Number(tensor.shape[0])) * rows.capacity,
    });
    const sampleRows = resize(recorder.tensor(regions.sampleRows.tensor), samples);
    const step: Step = {
      tokens: resize(recorder.tensor(regions.tokens.tensor), tokens),
      lastTokens: this.#memory.lastTokens,
      sampleRows,
      rotary: resize(recorder.tensor(regions.rotary.tensor), tokens),
      attention: this.#state.attention,
      kv: (layer) => this.#layer(layer),
      tap(name, value) {
        // A copy, because later layers may change the value in place.
        if (inspects) recorder.keep(name, gatherRows(value, sampleRows));
        return value;
      },
    };
    const logits = this.#decoder.forward(step);
    if (!inspects) recorder.keep(RESULTS, sample(logits, this.#state.sampling, this.#memory));
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

function decodeResults(
  step: ScheduledStep,
  bytes: ArrayBuffer,
  topCounts: readonly number[],
): readonly (SampleResult | undefined)[] {
  let row = 0;
  return step.entries.map(({ samples }, i) => {
    if (!samples) return undefined;
    const result = decodeSampleRow(bytes, row, topCounts[i] ?? 0);
    row += 1;
    return result;
  });
}
