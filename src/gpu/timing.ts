import type { Device } from './device.ts';
import { ReadbackRing } from './readback.ts';

/** Queries of a pass: the time it began and the time it ended, in nanoseconds as u64. */
const QUERIES = 2;
const QUERY_BYTES = 8;

/**
 * Measures how long compute passes take on the GPU. Everything is created once; measuring creates no GPU object.
 *
 * Browsers round the times, Chrome to 0.1 ms.
 */
export class PassTimer {
  /** What `beginComputePass` takes for a pass to be measured. */
  readonly pass: GPUComputePassDescriptor;
  /** The same for passes that go on with what that one began: its time ends with the last of them. */
  readonly rest: GPUComputePassDescriptor;
  readonly #device: Device;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #ring: ReadbackRing;

  private constructor(device: Device, slots: number) {
    this.#device = device;
    this.#queries = device.gpu.createQuerySet({
      label: 'pass timer',
      type: 'timestamp',
      count: QUERIES,
    });
    const ends = { querySet: this.#queries, endOfPassWriteIndex: 1 };
    this.pass = { timestampWrites: { ...ends, beginningOfPassWriteIndex: 0 } };
    this.rest = { timestampWrites: ends };
    const sizeBytes = QUERIES * QUERY_BYTES;
    this.#resolved = device.createBuffer(
      'state',
      'pass times',
      sizeBytes,
      GPUBufferUsage.QUERY_RESOLVE,
    );
    this.#ring = new ReadbackRing(device, slots, sizeBytes);
  }

  /**
   * A timer, where the device has timestamps.
   *
   * @param slots - passes that can be under way at once
   */
  static create(device: Device, slots: number): PassTimer | undefined {
    return device.facts.hasTimestamps ? new PassTimer(device, slots) : undefined;
  }

  /**
   * Encodes the reading of the pass that ended last in this encoder. Submissions are ordered, so one pair of queries
   * serves all passes under way.
   *
   * @returns the function to call after the submit, once: it resolves to the pass's GPU time in milliseconds
   * @throws {GpuValidationError} if every slot is under way
   */
  copy(encoder: GPUCommandEncoder): () => Promise<number> {
    encoder.resolveQuerySet(this.#queries, 0, QUERIES, this.#resolved, 0);
    const read = this.#ring.copy(encoder, {
      buffer: this.#resolved,
      offset: 0,
      size: QUERIES * QUERY_BYTES,
    });
    return () => read(elapsedMs);
  }

  dispose(): void {
    this.#queries.destroy();
    this.#device.destroyBuffer(this.#resolved);
    this.#ring.dispose();
  }
}

/** The GPU may set its clock back between two queries; time does not run backwards. */
function elapsedMs(bytes: ArrayBuffer): number {
  const [begin = 0n, end = 0n] = new BigUint64Array(bytes);
  return Math.max(0, Number(end - begin) / 1e6);
}
