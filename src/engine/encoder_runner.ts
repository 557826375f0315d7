import type { Device } from '../gpu/device.ts';
import { ReadbackRing } from '../gpu/readback.ts';
import type { EncoderModel, EncoderOutput } from '../models/family.ts';
import type { Recording } from '../gpu/recording.ts';
import { StepEncoder } from '../gpu/step_encoder.ts';
import { nextPowerOfTwo } from '../util/arith.ts';
import { EncoderBatches, type EncoderTask } from './encoder_batches.ts';
import type { EncoderSequence } from './encoder_state.ts';
import type { RunnerTotals, StepRunner } from './residency.ts';
import { bidirectionalWork, type RunStep } from './run_step.ts';

/** What came of one sequence, by output: f32 [rows, size], rows being its tokens, those asked for, or one. */
export type EncoderResult = ReadonlyMap<string, Float32Array<ArrayBuffer>>;

/** Runs batches of an encoder on the GPU and reads back what was asked for. */
export class EncoderRunner implements StepRunner {
  readonly #device: Device;
  readonly #batches: EncoderBatches;
  readonly #maxInFlight: number;
  #ring: ReadbackRing | undefined;
  #ringBytes = 0;
  #lastStep: (() => RunStep) | undefined;
  #steps = 0;
  #dispatches = 0;

  /** @param maxInFlight - batches that may be under way at once */
  constructor(device: Device, encoder: EncoderModel, maxInFlight: number) {
    this.#device = device;
    this.#batches = new EncoderBatches(device, encoder);
    this.#maxInFlight = maxInFlight;
  }

  /** The batch that was submitted last; for measurements. */
  get lastStep(): RunStep | undefined {
    return this.#lastStep?.();
  }

  get totals(): RunnerTotals {
    return { steps: this.#steps, dispatches: this.#dispatches };
  }

  /** What an output is. @throws {RangeError} if there is none of this name */
  output(name: string): EncoderOutput {
    return this.#batches.output(name);
  }

  /** Most tokens whose rows of these outputs a batch can give; of no outputs, most tokens of any batch. */
  rowsFor(outputs: readonly string[]): number {
    return this.#batches.rowsFor(outputs);
  }

  /** Compiles what a short text needs, so that the first does not wait for it. */
  async prepare(): Promise<void> {
    const task = { outputs: ['last_hidden_state'], selects: false };
    await this.#batches.prepare([{ ids: [0, 0] }], task);
    await this.#device.settled();
  }

  forget(): void {
    this.#batches.forget();
  }

  /**
   * Submits one batch.
   *
   * @returns when submitted, a promise of a result for each sequence
   * @throws {DeviceLimitError} if a sequence, or what is asked of it, is larger than the device's bindings
   * @throws {QuernError} if the device has failed
   */
  async submit(
    batch: readonly EncoderSequence[],
    task: EncoderTask,
  ): Promise<{ readonly results: Promise<readonly EncoderResult[]> }> {
    const ready = await this.#batches.prepare(batch, task);
    this.#device.throwIfFailed();
    const { recording, counts, places } = ready();
    const columns = task.outputs.map((name) => {
      const { per, size } = this.#batches.output(name);
      const tokenRows = task.selects ? counts.candidates : counts.tokens;
      const rows = per === 'token' ? tokenRows : counts.samples;
      return { name, per, size, rows, ...rangeOf(recording, name) };
    });
    const ranges = columns
      .map(({ buffer, offset, rows, size }) => ({ buffer, offset, size: rows * size * 4 }))
      .filter(({ size }) => size > 0);
    const totalBytes = ranges.reduce((sum, { size }) => sum + size, 0);

    const { gpu } = this.#device;
    const steps = new StepEncoder(gpu);
    const work = bidirectionalWork(
      counts,
      batch.map(({ ids }) => ids.length),
    );
    this.#dispatches += steps.replay(recording, counts, work);
    this.#lastStep = () => ({ recording, work });
    this.#steps += 1;
    const encoder = steps.end();
    const read = this.#ringFor(totalBytes).copy(encoder, ...ranges);
    gpu.queue.submit([encoder.finish()]);
    const results = read((bytes) => {
      let firstByte = 0;
      const values = columns.map(({ rows, size }) => {
        const begin = firstByte;
        firstByte += rows * size * 4;
        return new Float32Array(bytes, begin, rows * size);
      });
      return batch.map(({ ids, positions }, i): EncoderResult => {
        const place = places[i];
        return new Map(
          columns.map(({ name, per, size }, column) => {
            const [first = 0, count] =
              per === 'sequence'
                ? [place?.sequence, 1]
                : task.selects
                  ? [place?.firstSelected, positions?.length ?? 0]
                  : [place?.firstRow, ids.length];
            const all = values[column] ?? new Float32Array();
            return [name, all.slice(first * size, (first + count) * size)];
          }),
        );
      });
    });
    return { results };
  }

  /**
   * Runs one sequence and returns every value that the network names, for all of its tokens, and the outputs asked for.
   *
   * @returns where they lie, until the next batch
   */
  async inspect(
    sequence: EncoderSequence,
    outputs: readonly string[],
  ): Promise<ReadonlyMap<string, GPUBufferBinding>> {
    const positions = sequence.ids.map((_, i) => i);
    const task = { outputs, selects: true, inspects: true };
    const ready = await this.#batches.prepare([{ ...sequence, positions }], task);
    const { recording, counts } = ready();
    const { gpu } = this.#device;
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    recording.replay(pass, counts);
    pass.end();
    gpu.queue.submit([encoder.finish()]);
    await this.#device.settled();
    return recording.allKept();
  }

  /** Staging buffers for results of this size; larger ones take the place of those before. */
  #ringFor(sizeBytes: number): ReadbackRing {
    if (this.#ring === undefined || sizeBytes > this.#ringBytes) {
      this.#ring?.dispose();
      this.#ring = undefined;
      const { maxBufferSize } = this.#device.facts.limits;
      const rounded = Math.min(nextPowerOfTwo(Math.max(sizeBytes, 1024)), maxBufferSize);
      this.#ringBytes = Math.max(sizeBytes, rounded);
      this.#ring = new ReadbackRing(this.#device, this.#maxInFlight, this.#ringBytes);
    }
    return this.#ring;
  }
}

function rangeOf(recording: Recording, name: string): { buffer: GPUBuffer; offset: number } {
  const range = recording.kept(name);
  if (range === undefined) throw new RangeError(`encoder: the recording keeps no ${name}`);
  return { buffer: range.buffer, offset: range.offset ?? 0 };
}
