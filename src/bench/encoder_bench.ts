import { MEAN } from '../engine/encoder_batches.ts';
import type { RunStep } from '../engine/run_step.ts';
import { orAbort } from '../util/or_abort.ts';
import type { BenchTest } from './bench_tests.ts';
import { attentionLayers, forwardFlops, multipliedWeights, weightBytes } from './ceilings.ts';
import { randomIds, type TestNeeds, type TestRun } from './generation_bench.ts';
import type { EncoderSubject } from './open_model.ts';
import type { Clock } from '../gpu/stopwatch.ts';

/** What texts are encoded for: one vector each. */
const TASK = { outputs: [MEAN], selects: false };

/** Runs tests of an encoder. */
export class EncoderBench {
  readonly #subject: EncoderSubject;
  readonly #clock: Clock;
  readonly #signal: AbortSignal | undefined;

  constructor(subject: EncoderSubject, clock: Clock, signal: AbortSignal | undefined) {
    this.#subject = subject;
    this.#clock = clock;
    this.#signal = signal;
  }

  /** The batch that was run last. */
  get lastStep(): RunStep | undefined {
    return this.#subject.queue.runner.lastStep;
  }

  /** Texts, queued at once, until all vectors are here. */
  async run(test: BenchTest): Promise<TestRun> {
    const { queue } = this.#subject;
    const { tokens, texts } = sizeOf(test);
    const { vocab } = queue.model;
    const sequences = Array.from({ length: texts }, () => ({ ids: randomIds(tokens, vocab) }));
    const begin = this.#clock.now();
    let end = (): void => undefined;
    const done = new Promise<void>((resolve, reject) => {
      let left = texts;
      const onResult = (): void => {
        left -= 1;
        if (left === 0) resolve();
      };
      end = queue.add(
        sequences.map((sequence) => ({ sequence, task: TASK, onResult, onError: reject })),
      );
    });
    try {
      await orAbort(done, this.#signal);
    } finally {
      end();
    }
    return { tokens: tokens * texts, ms: this.#clock.now() - begin };
  }

  /** What the test that was run last needs of the device. */
  needs(test: BenchTest): TestNeeds {
    const { queue } = this.#subject;
    const { tokens, texts } = sizeOf(test);
    const step = this.lastStep;
    if (step === undefined) return { tokens };
    const size = {
      ...queue.model.kv,
      weights: multipliedWeights(step.recording),
      layers: attentionLayers(step.recording),
    };
    const textsAtOnce = Math.max(1, Math.floor(this.#subject.tokenBudget / tokens));
    const batches = Math.ceil(texts / textsAtOnce);
    const bytes = weightBytes(queue.device, step.recording) * batches;
    const flops = forwardFlops(size, tokens, tokens ** 2) * texts;
    return { tokens: tokens * texts, work: { by: 'arithmetic', bytes, flops } };
  }
}

/** @throws {RangeError} if the test is for decoders, which has been checked before */
function sizeOf(test: BenchTest): { readonly tokens: number; readonly texts: number } {
  if (test.kind === 'encode') return test;
  throw new RangeError(`bench: a ${test.kind} test of an encoder`);
}
