import type { Work } from './cost.ts';
import { encode, type Recording } from './recording.ts';
import type { Counts } from './tensor.ts';
import type { PassTimer } from './timing.ts';

/**
 * Most arithmetic of one submission, in floating-point operations: tenths of a second on GPUs of phones and laptops. Systems
 * draw their screens between submissions, and take the device away from who is not done in time: Windows after two seconds,
 * https://learn.microsoft.com/windows-hardware/drivers/display/timeout-detection-and-recovery
 */
export const SUBMITTED_FLOPS: number = 2 ** 36;

/** Encodes one step. What would take long is submitted part by part on the way. */
export class StepEncoder {
  readonly #gpu: GPUDevice;
  readonly #timer: PassTimer | undefined;
  #encoder: GPUCommandEncoder;
  #pass: GPUComputePassEncoder;
  /** Of the part that has not been submitted. */
  #flops = 0;

  /** @param timer - measures from the beginning of the step to its end */
  constructor(gpu: GPUDevice, timer?: PassTimer) {
    this.#gpu = gpu;
    this.#timer = timer;
    this.#encoder = gpu.createCommandEncoder();
    this.#pass = this.#encoder.beginComputePass(timer?.pass);
  }

  /**
   * Encodes every dispatch whose grid is not empty.
   *
   * @param work - of the step, to cut it by; absent: it does not take long
   * @returns the number of dispatches encoded
   */
  replay({ dispatches }: Recording, counts: Counts, work?: Work): number {
    if (work === undefined) return encode(this.#pass, dispatches, counts);
    let [encoded, begin] = [0, 0];
    for (const [i, { cost }] of dispatches.entries()) {
      const { flops } = cost(work);
      if (this.#flops > 0 && this.#flops + flops > SUBMITTED_FLOPS) {
        encoded += encode(this.#pass, dispatches.slice(begin, i), counts);
        begin = i;
        this.#submit();
      }
      this.#flops += flops;
    }
    return encoded + encode(this.#pass, dispatches.slice(begin), counts);
  }

  /** @returns what is left to submit, for what comes after the step */
  end(): GPUCommandEncoder {
    this.#pass.end();
    return this.#encoder;
  }

  #submit(): void {
    this.#pass.end();
    this.#gpu.queue.submit([this.#encoder.finish()]);
    this.#encoder = this.#gpu.createCommandEncoder();
    this.#pass = this.#encoder.beginComputePass(this.#timer?.rest);
    this.#flops = 0;
  }
}
