import type { Device } from '../gpu/device.ts';
import { Recorder } from '../gpu/recorder.ts';
import type { Recording } from '../gpu/recording.ts';
import type { Counts, Dim, Tensor } from '../gpu/tensor.ts';
import type { AttentionState } from '../kernels/attention.ts';
import { gatherRows } from '../kernels/gather_rows.ts';
import { kvTensorShapes } from '../kernels/kv_cache.ts';
import { FEW_ROWS } from '../kernels/matmul.ts';
import { meanRows } from '../kernels/pool_rows.ts';
import type { EncoderModel, EncoderOutput } from '../models/family.ts';
import type { EncoderStep } from '../nn/step.ts';
import { nextPowerOfTwo } from '../util/arith.ts';
import { Constants } from './constants.ts';
import {
  ENCODER_PAGE,
  EncoderState,
  type EncoderSequence,
  type SequencePlace,
} from './encoder_state.ts';

/** Fewest tokens that a recording is made for. */
const MIN_TOKENS = 32;
/**
 * Fewest sequences. With few rows other kernels would compute the heads, whose sums are in another order: what a
 * sequence gives is to be the same to the last bit, whatever it is encoded with.
 */
const MIN_SEQUENCES = 2 * FEW_ROWS;
/** Tokens that a sequence has at least, on average, in a batch that fills its recording. */
const TOKENS_PER_SEQUENCE = 4;

/** What a recording computes of its tokens. */
export interface EncoderTask {
  /** Names of `EncoderModel.outputs`, {@link MEAN} or {@link FIRST}; each once. */
  readonly outputs: readonly string[];
  /** Whether outputs per token are for chosen tokens only: `EncoderSequence.positions`. */
  readonly selects: boolean;
  /** Keeps every value that the network names, too, for the chosen tokens. */
  readonly inspects?: boolean;
}

/** Mean of the last hidden states of a sequence, f32 [S, dim]. */
export const MEAN = 'mean_pooled';
/** Last hidden state of the first token of a sequence, f32 [S, dim]. */
export const FIRST = 'first_token';

/** A recording with a batch in its state, ready to be replayed at once. */
export interface ReadyBatch {
  readonly recording: Recording;
  readonly counts: Counts;
  /** Where the results of each sequence of the batch are. */
  readonly places: readonly SequencePlace[];
}

export interface EncoderBatchesOptions {
  /** Entries of a sequence's row of cross-attention pages; absent: there are none. */
  readonly crossWidth?: number;
  /** Records what is done with the network's result, f32 [T, dim], in place of outputs. */
  readonly use?: (hidden: Tensor, step: EncoderStep, cross: AttentionState) => void;
}

interface Batches {
  readonly state: EncoderState;
  readonly recording: Promise<Recording>;
}

/** Recordings of an encoder for batches of different sizes, made when first needed. */
export class EncoderBatches {
  readonly #device: Device;
  readonly #encoder: EncoderModel;
  readonly #options: EncoderBatchesOptions;
  readonly #constants: Constants;
  readonly #batches = new Map<string, Batches>();

  constructor(device: Device, encoder: EncoderModel, options: EncoderBatchesOptions = {}) {
    this.#device = device;
    this.#encoder = encoder;
    this.#options = options;
    this.#constants = new Constants(device);
  }

  /** What an output is. @throws {RangeError} if there is none of this name */
  output(name: string): EncoderOutput {
    const { dim, outputs } = this.#encoder;
    if (name === MEAN || name === FIRST) {
      return {
        per: 'sequence',
        size: dim,
        compute: (hidden, step) => {
          if (name === FIRST) return gatherRows(hidden, step.firstRows);
          const [count = 0] = step.firstRows.shape;
          return meanRows(hidden, step.attention.sequences, count);
        },
      };
    }
    const output = outputs[name];
    if (output === undefined) throw new RangeError(`encoder: there is no output ${name}`);
    return output;
  }

  /** Most tokens whose rows of these outputs a batch can give; of no outputs, most tokens of any batch. */
  rowsFor(names: readonly string[]): number {
    const outputs = names.map((name) => this.output(name));
    const widest = Math.max(1, ...outputs.map(({ per, size }) => (per === 'token' ? size : 1)));
    const all = outputs.reduce((sum, { size }) => sum + size, 1);
    const { maxStorageBufferBindingSize, maxBufferSize, maxComputeWorkgroupsPerDimension } =
      this.#device.facts.limits;
    return Math.min(
      Math.floor(maxStorageBufferBindingSize / (4 * widest)),
      // What is read back of all of them lies in one buffer.
      Math.floor(maxBufferSize / (4 * all)),
      // Many kernels have a workgroup for each row.
      maxComputeWorkgroupsPerDimension,
    );
  }

  /** Compiles what a batch needs. @returns what puts the batch into its state, to be called when it is submitted */
  async prepare(
    batch: readonly EncoderSequence[],
    task: EncoderTask,
  ): Promise<(fillCrossRow?: (index: number, row: Uint32Array) => void) => ReadyBatch> {
    const { state, recording } = this.#batchesFor(batch, task);
    const ready = await recording;
    await this.#constants.prepare();
    return (fillCrossRow) => {
      this.#constants.run();
      const { counts, places } = state.fill(batch, fillCrossRow);
      state.upload(counts.tokens);
      return { recording: ready, counts, places };
    };
  }

  /** Has everything recorded anew when it is needed next. Nothing may be running. */
  forget(): void {
    for (const { state } of this.#batches.values()) state.dispose();
    this.#batches.clear();
  }

  #batchesFor(batch: readonly EncoderSequence[], task: EncoderTask): Batches {
    const count = batch.reduce((sum, { ids }) => sum + ids.length, 0);
    const selectedCount = batch.reduce((sum, { positions }) => sum + (positions?.length ?? 0), 0);
    const roundUp = (n: number): number => nextPowerOfTwo(Math.max(n, MIN_TOKENS));
    // Room for more than there are only as far as it fits.
    const mostRows = this.rowsFor(task.outputs);
    const mostTokens = task.selects ? this.rowsFor([]) : mostRows;
    // A text alone needs no room for others.
    const isAlone = batch.length === 1;
    const wanted = isAlone ? count : Math.max(count, batch.length * TOKENS_PER_SEQUENCE);
    const tokens = Math.max(count, Math.min(roundUp(wanted), mostTokens));
    const sequences = isAlone
      ? MIN_SEQUENCES
      : Math.max(
          MIN_SEQUENCES,
          nextPowerOfTwo(batch.length),
          Math.ceil(tokens / TOKENS_PER_SEQUENCE),
        );
    const selected = task.selects
      ? Math.max(selectedCount, Math.min(roundUp(selectedCount), mostRows))
      : 1;
    const key = [tokens, sequences, selected, task.inspects, ...task.outputs].join(' ');
    let batches = this.#batches.get(key);
    if (batches === undefined) {
      const { crossWidth = 0 } = this.#options;
      const size = { tokens, sequences, selected, crossWidth };
      const state = new EncoderState(this.#device, this.#encoder, size);
      const recording = this.#record(state, size, task);
      batches = { state, recording };
      this.#batches.set(key, batches);
      recording.catch(() => {
        this.#batches.delete(key);
        state.dispose();
      });
    }
    return batches;
  }

  async #record(
    state: EncoderState,
    size: { readonly tokens: number; readonly sequences: number; readonly selected: number },
    { outputs, selects, inspects = false }: EncoderTask,
  ): Promise<Recording> {
    const recorder = new Recorder(this.#device, state.region('counts').tensor);
    const tokens: Dim = { count: 'tokens', capacity: size.tokens };
    const samples: Dim = { count: 'samples', capacity: size.sequences };
    const selected: Dim = { count: 'candidates', capacity: size.selected };
    const rows = (name: string, count: Dim): Tensor => {
      const { tensor } = state.region(name);
      return recorder.tensor({ ...tensor, shape: [count, ...tensor.shape.slice(1)] });
    };
    const { kv } = this.#encoder;
    const layer = { ...kv, pageSize: ENCODER_PAGE, dtype: 'f32', pages: state.pages } as const;
    const shapes = kvTensorShapes(state.pages, layer);
    const step: EncoderStep = {
      tokens: rows('tokens', tokens),
      lastTokens: state.region('tokens').tensor, // no token refers to one
      positionIds: rows('positionIds', tokens),
      typeIds: rows('typeIds', tokens),
      firstRows: rows('firstRows', samples),
      rotary: this.#encoder.ropes.map((_, i) => rows(`rotary${i}`, tokens)),
      attention: state.attention,
      kv: () => ({
        ...layer,
        keys: recorder.workspace('f32', shapes.keys),
        values: recorder.workspace('f32', shapes.values),
      }),
      once: (key, compute) => this.#constants.get(key, recorder, compute),
      tap(name, value) {
        // A copy, because later layers may change the value in place.
        if (inspects) recorder.keep(name, gatherRows(value, rows('selected', selected)));
        return value;
      },
    };
    const hidden = this.#encoder.encode(step);
    const chosen = selects ? gatherRows(hidden, rows('selected', selected)) : hidden;
    for (const name of outputs) {
      const output = this.output(name);
      recorder.keep(name, output.compute(output.per === 'token' ? chosen : hidden, step));
    }
    this.#options.use?.(hidden, step, state.cross);
    return recorder.finish();
  }
}
