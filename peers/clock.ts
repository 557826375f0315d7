/** Wall time, and the CPU time of the processes that compute. @module */

/** Time that something took, in milliseconds. */
export interface Sample {
  readonly wallMs: number;
  /** User and system time of all threads of all processes concerned; NaN where nobody tells a page. */
  readonly cpuMs: number;
}

/** Laps follow each other without a gap. */
export interface Watch {
  /** The time since the watch was started or since the last lap; what has happened is settled when this is called. */
  lap(): Promise<Sample>;
}

/** Measures both engines alike. */
export class Clock {
  readonly #readCpu: () => number | Promise<number>;

  /** @param readCpu - milliseconds of CPU time so far; it may take a while to tell, which is not counted */
  constructor(readCpu: () => number | Promise<number>) {
    this.#readCpu = readCpu;
  }

  async start(): Promise<Watch> {
    let cpu = Promise.resolve(await this.#readCpu());
    let begin = performance.now();
    return {
      lap: async () => {
        const end = performance.now();
        const wallMs = end - begin;
        const before = cpu;
        const after = Promise.resolve(this.#readCpu());
        begin = end;
        cpu = after;
        return { wallMs, cpuMs: (await after) - (await before) };
      },
    };
  }

  /** The time that `run` takes. */
  async timed(run: () => Promise<unknown>): Promise<Sample> {
    const watch = await this.start();
    await run();
    return watch.lap();
  }
}
