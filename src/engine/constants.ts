import type { Device } from '../gpu/device.ts';
import { Recorder } from '../gpu/recorder.ts';
import type { Recording } from '../gpu/recording.ts';
import { StateBuffer } from '../gpu/state_buffer.ts';
import { COUNT_NAMES, NO_COUNTS, type DeviceTensor } from '../gpu/tensor.ts';
import type { OncePart } from '../nn/step.ts';

/** A recording not run yet, and where its values belong. */
interface Job {
  readonly recording: Recording;
  readonly places: ReadonlyMap<string, DeviceTensor>;
}

/** Values that depend on weights alone: computed on the GPU once, then kept beside the weights. */
export class Constants {
  readonly #device: Device;
  readonly #counts: DeviceTensor;
  readonly #known = new Map<object, ReadonlyMap<string, DeviceTensor>>();
  #recording: Promise<Job>[] = [];
  #ready: Job[] = [];

  constructor(device: Device) {
    this.#device = device;
    const counts = { dtype: 'u32', shape: [COUNT_NAMES.length] } as const;
    this.#counts = new StateBuffer(device, { counts }).regions.counts.tensor;
  }

  /** The values of `key` as operands of `recorder`; those asked for the first time are there after {@link run}. */
  get<T extends OncePart>(key: object, recorder: Recorder, compute: (recorder: Recorder) => T): T {
    let places = this.#known.get(key);
    if (places === undefined) {
      places = this.#record(key, compute);
      this.#known.set(key, places);
    }
    const values = Object.fromEntries(
      [...places].map(([name, place]) => [name, recorder.tensor(place)]),
    );
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the names are those that `compute` returned
    return values as T;
  }

  /** Compiles what {@link run} will need. */
  async prepare(): Promise<void> {
    const recording = this.#recording;
    this.#recording = [];
    this.#ready.push(...(await Promise.all(recording)));
  }

  /** Computes what was asked for since the last time. */
  run(): void {
    if (this.#ready.length === 0) return;
    const { gpu } = this.#device;
    const encoder = gpu.createCommandEncoder();
    for (const { recording, places } of this.#ready) {
      const pass = encoder.beginComputePass();
      recording.replay(pass, NO_COUNTS);
      pass.end();
      for (const [name, { memory, sizeBytes }] of places) {
        const value = recording.kept(name);
        if (value === undefined || memory.kind !== 'buffer') continue;
        const { buffer, offset = 0 } = value;
        encoder.copyBufferToBuffer(buffer, offset, memory.buffer, memory.offset, sizeBytes);
      }
    }
    gpu.queue.submit([encoder.finish()]);
    this.#ready = [];
  }

  #record(
    key: object,
    compute: (recorder: Recorder) => OncePart,
  ): ReadonlyMap<string, DeviceTensor> {
    const recorder = new Recorder(this.#device, this.#counts);
    const places = new Map<string, DeviceTensor>();
    for (const [name, value] of Object.entries(compute(recorder))) {
      if (value === undefined) continue;
      recorder.keep(name, value);
      const shape = value.shape.map(Number);
      places.set(name, this.#device.createTensor('weights', name, value.dtype, shape));
    }
    const job = recorder.finish().then((recording) => ({ recording, places }));
    // Whoever asks again finds nothing half done.
    job.catch(() => this.#known.delete(key));
    this.#recording.push(job);
    return places;
  }
}
