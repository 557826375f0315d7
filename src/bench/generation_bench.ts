import { GREEDY } from '../engine/core/sampling.ts';
import type { RunStep } from '../engine/run_step.ts';
import { kvBytesPerPage } from '../kernels/kv_cache.ts';
import { orAbort } from '../util/or_abort.ts';
import type { BenchTest } from './bench_tests.ts';
import {
  attentionLayers,
  forwardFlops,
  multipliedWeights,
  stepFlops,
  weightBytes,
} from './ceilings.ts';
import { callsPer, type Calls } from './count_calls.ts';
import { SHORT_INPUT, type GenerativeSubject } from './open_model.ts';
import type { Clock } from '../gpu/stopwatch.ts';

/** One run of a test. */
export interface TestRun {
  /** What the rate counts, and how long it took. */
  readonly tokens: number;
  readonly ms: number;
  /** From the request until its first token. */
  readonly firstTokenMs?: number;
  /** What was asked of the GPU for each token, in the middle of a reply. */
  readonly calls?: Calls;
}

/** What a run took from the device at the least: for a decode step, or for a whole prompt or text. */
export interface TestNeeds {
  /** Tokens of that. */
  readonly tokens: number;
  /** Absent where it is not one kind of step. */
  readonly work?: {
    /** What there is more of, which its time is held against. */
    readonly by: 'bandwidth' | 'arithmetic';
    /** Of weights, and of keys and values. */
    readonly bytes: number;
    readonly flops: number;
  };
}

interface Reply {
  readonly startMs: number;
  /** When each token came. */
  readonly timesMs: readonly number[];
}

/** Runs tests of a decoder, or of an encoder-decoder. */
export class GenerationBench {
  readonly #subject: GenerativeSubject;
  readonly #clock: Clock;
  readonly #calls: Readonly<Calls>;
  readonly #signal: AbortSignal | undefined;
  /** What is in the cache before a test begins: the same each time, so that it is computed once. */
  readonly #before = new Map<string, readonly number[]>();

  constructor(
    subject: GenerativeSubject,
    clock: Clock,
    calls: Readonly<Calls>,
    signal: AbortSignal | undefined,
  ) {
    this.#subject = subject;
    this.#clock = clock;
    this.#calls = calls;
    this.#signal = signal;
  }

  /** The step that was run last. */
  get lastStep(): RunStep | undefined {
    return this.#subject.generator.runner.lastStep;
  }

  async run(test: BenchTest): Promise<TestRun> {
    switch (test.kind) {
      case 'prefill':
        return this.#prefill(test.tokens, test.depth);
      case 'encode':
        return this.#encode(test.tokens, test.texts);
      case 'decode':
        return this.#decode(test.tokens, test.depth, test.streams);
    }
  }

  /** What the test that was run last needs of the device. */
  needs(test: BenchTest): TestNeeds {
    const { generator, decoder, encoder, limits } = this.#subject;
    const { device, runner } = generator;
    const step = runner.lastStep;
    if (step === undefined || test.kind === 'encode') return { tokens: test.tokens };
    const { kv } = decoder;
    const { pageSize, kvDtype, tokenBudget } = limits;
    const kvBytes = (kvBytesPerPage({ ...kv, pageSize, dtype: kvDtype }) * kv.layers) / pageSize;
    const weights = weightBytes(device, step.recording);
    if (test.kind === 'decode') {
      const { streams } = test;
      const own = Math.min(test.depth + test.tokens / 2, kv.window ?? Infinity);
      const length = own + (encoder === undefined ? 0 : SHORT_INPUT);
      const flops = (stepFlops(step) * streams) / Math.max(1, step.work.counts.tokens);
      const bytes = weights + kvBytes * length * streams;
      return { tokens: streams, work: { by: 'bandwidth', bytes, flops } };
    }
    const { tokens, depth } = test;
    const size = {
      ...kv,
      weights: multipliedWeights(step.recording),
      layers: attentionLayers(step.recording),
    };
    const flops = forwardFlops(size, tokens, tokens * depth + (tokens * (tokens + 1)) / 2);
    const bytes = weights * Math.ceil(tokens / tokenBudget) + kvBytes * (depth + tokens);
    return { tokens, work: { by: 'arithmetic', bytes, flops } };
  }

  async #prefill(tokens: number, depth: number): Promise<TestRun> {
    if (depth > 0) await this.#replies([this.#prefix(0, depth)], 1);
    const prompt = [...this.#prefix(0, depth), ...this.#random(tokens)];
    const [reply] = await this.#replies([prompt], 1);
    const firstTokenMs = firstMs(reply);
    return { tokens, ms: firstTokenMs, firstTokenMs };
  }

  /** Until the first token of each text's reply: the encoder, and one step of the decoder. */
  async #encode(tokens: number, texts: number): Promise<TestRun> {
    const prompts = Array.from({ length: texts }, () => this.#subject.startIds);
    const replies = await this.#replies(prompts, 1, tokens);
    const ms = Math.max(...replies.map(firstMs));
    return { tokens: tokens * texts, ms, firstTokenMs: ms };
  }

  async #decode(tokens: number, depth: number, streams: number): Promise<TestRun> {
    const prompts = Array.from({ length: streams }, (_, i) => this.#prefix(i, Math.max(1, depth)));
    // The prompts' own computing is no part of it, and must not delay some of the streams.
    if (depth > 0) await this.#replies(prompts, 1);
    const marks: Calls[] = [];
    const replies = await this.#replies(prompts, tokens + 1, SHORT_INPUT, (count) => {
      if (count === marksAt(tokens)[marks.length]) marks.push({ ...this.#calls });
    });
    // While all streams were running.
    const begin = Math.max(...replies.map(({ timesMs }) => timesMs[0] ?? 0));
    const end = Math.min(...replies.map(({ timesMs }) => timesMs.at(-1) ?? 0));
    const counted = replies.flatMap(({ timesMs }) => timesMs).filter((t) => t > begin && t <= end);
    const [from, to] = marks;
    const [first, last] = marksAt(tokens);
    return {
      tokens: counted.length,
      ms: end - begin,
      firstTokenMs: Math.max(...replies.map(firstMs)),
      ...(from && to && streams === 1 && { calls: callsPer(from, to, last - first) }),
    };
  }

  /** Prompts of token ids continued at once; `onCount` is told how many tokens the first has. */
  async #replies(
    prompts: readonly (readonly number[])[],
    maxTokens: number,
    inputLength = SHORT_INPUT,
    onCount?: (count: number) => void,
  ): Promise<readonly Reply[]> {
    const { generator, encoder, startIds } = this.#subject;
    const handles: { end(): void }[] = [];
    const replies = prompts.map((prompt, stream) => {
      const startMs = this.#clock.now();
      const timesMs: number[] = [];
      return new Promise<Reply>((resolve, reject) => {
        const handle = generator.add({
          prompt: [...startIds, ...(startIds.length > 0 ? prompt.slice(startIds.length) : prompt)],
          ...(encoder && { encoderInput: randomIds(inputLength, encoder.vocab) }),
          maxTokens,
          stopIds: new Set(),
          sampling: GREEDY,
          onToken: (_, finishReason) => {
            timesMs.push(this.#clock.now());
            if (stream === 0) onCount?.(timesMs.length);
            if (finishReason !== undefined) resolve({ startMs, timesMs });
          },
          onError: reject,
        });
        handles.push(handle);
      });
    });
    try {
      return await orAbort(Promise.all(replies), this.#signal);
    } finally {
      for (const handle of handles) handle.end();
    }
  }

  #prefix(stream: number, length: number): readonly number[] {
    const key = `${stream} ${length}`;
    const known = this.#before.get(key) ?? this.#random(length);
    this.#before.set(key, known);
    return known;
  }

  #random(length: number): readonly number[] {
    return randomIds(length, this.#subject.decoder.vocab);
  }
}

/** Numbers of tokens between which calls are counted: when steps are under way before and after. */
function marksAt(tokens: number): readonly [first: number, last: number] {
  return [Math.floor(tokens / 4), Math.floor((tokens * 3) / 4)];
}

function firstMs(reply: Reply | undefined): number {
  return (reply?.timesMs[0] ?? Number.NaN) - (reply?.startMs ?? 0);
}

/** Ids that no prefix in a cache begins with. */
export function randomIds(length: number, vocab: number): readonly number[] {
  return Array.from({ length }, () => Math.floor(Math.random() * vocab));
}
