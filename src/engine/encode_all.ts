import type { EncoderInput, Encoding, EncodingOptions, EncodingOutput } from './encoder_api.ts';
import type { EncoderTask } from './encoder_batches.ts';
import { sequenceOf, type InputContext } from './encoder_inputs.ts';
import type { EncoderQueue } from './encoder_queue.ts';
import type { EncoderResult } from './encoder_runner.ts';
import type { EncoderSequence } from './encoder_state.ts';
import type { EncodingPlan, NamedOutput } from './encoding_plan.ts';

/** What {@link encodeAll} works with. */
export interface EncodeAllOptions {
  readonly context: InputContext;
  /** An input's name in messages. */
  readonly nameOf: (index: number) => string;
  readonly task: EncoderTask;
  readonly queue: EncoderQueue;
  /** Tokens that are queued before the first of them are back: texts are read while others are computed. */
  readonly tokensAhead: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: EncodingOptions['onProgress'];
}

/**
 * Encodes the inputs of one call.
 *
 * @throws {RequestError} {@link TokenizerError} if an input is none
 * @throws {QuernError} the device's failure
 * @throws `signal.reason` when aborted
 */
export async function encodeAll(
  inputs: readonly EncoderInput[],
  options: EncodeAllOptions,
): Promise<Encoding[]> {
  const { signal } = options;
  const call = new Call(inputs, options);
  const onAbort = (): void => call.fail(signal?.reason);
  signal?.addEventListener('abort', onAbort);
  try {
    return await call.run();
  } finally {
    signal?.removeEventListener('abort', onAbort);
    call.end();
  }
}

/** One call under way. */
class Call {
  readonly #inputs: readonly EncoderInput[];
  readonly #options: EncodeAllOptions;
  readonly #encodings: Encoding[] = [];
  /** End what is queued and not answered. */
  readonly #cancels = new Map<EncoderSequence, () => void>();
  #tokensQueued = 0;
  #done = 0;
  #failure: { readonly error: unknown } | undefined;
  #isTelling = false;
  /** Ends the wait for results. */
  #wake: () => void = () => undefined;

  constructor(inputs: readonly EncoderInput[], options: EncodeAllOptions) {
    this.#inputs = [...inputs];
    this.#options = options;
  }

  async run(): Promise<Encoding[]> {
    const { context, nameOf, tokensAhead } = this.#options;
    for (const [index, input] of this.#inputs.entries()) {
      while (this.#tokensQueued >= tokensAhead) await this.#result();
      this.#add(index, sequenceOf(nameOf(index), input, context));
    }
    while (this.#done < this.#inputs.length) await this.#result();
    return this.#encodings;
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  /** Takes back what is not answered. */
  end(): void {
    for (const cancel of this.#cancels.values()) cancel();
  }

  #add(index: number, sequence: EncoderSequence): void {
    const { context, queue, task } = this.#options;
    const { length } = sequence.ids;
    const job = {
      sequence,
      task,
      onResult: (result: EncoderResult): void => {
        this.#cancels.delete(sequence);
        this.#encodings[index] = encodingOf(sequence, result, context.plan);
        this.#tokensQueued -= length;
        this.#done += 1;
        this.#tell();
        this.#wake();
      },
      onError: (error: unknown): void => this.fail(error),
    };
    this.#tokensQueued += length;
    this.#cancels.set(sequence, queue.add([job]));
  }

  /** Waits until something has come back. */
  async #result(): Promise<void> {
    if (this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Once for all texts of a step. An error of the listener ends the call, in whatever thread it runs. */
  #tell(): void {
    const { onProgress } = this.#options;
    if (typeof onProgress !== 'function' || this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      try {
        onProgress({ done: this.#done, total: this.#inputs.length });
      } catch (error) {
        this.fail(error);
      }
    });
  }
}

function encodingOf(
  { ids, positions }: EncoderSequence,
  result: EncoderResult,
  plan: EncodingPlan,
): Encoding {
  const named = [...plan.outputs].map(([name, output]) => [name, pick(output, result)] as const);
  const pooled = plan.vector === undefined ? undefined : result.get(plan.vector);
  return {
    ids,
    outputs: Object.fromEntries(named),
    ...(pooled !== undefined && { vector: plan.normalizes ? normalized(pooled) : pooled }),
    ...(positions !== undefined && { positions }),
  };
}

/** An output, or one column of it. */
function pick({ source, width, column }: NamedOutput, result: EncoderResult): EncodingOutput {
  const all = result.get(source) ?? new Float32Array();
  const rows = all.length / width;
  if (column === undefined) return { data: all, rows, size: width };
  const data = Float32Array.from({ length: rows }, (_, row) => all[row * width + column] ?? 0);
  return { data, rows, size: 1 };
}

/** The vector scaled to length 1; zeros stay. */
function normalized(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return length === 0 ? vector : vector.map((value) => value / length);
}
