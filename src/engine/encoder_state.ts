import type { Device } from '../gpu/device.ts';
import { type Field, type Region, StateBuffer } from '../gpu/state_buffer.ts';
import { COUNT_NAMES, type Counts } from '../gpu/tensor.ts';
import type { AttentionState } from '../kernels/attention.ts';
import type { EncoderModel } from '../models/family.ts';
import { RopeTable } from '../nn/rope.ts';
import { divCeil } from '../util/arith.ts';
import { addTiles, maxTiles } from './attention_tiles.ts';

/** Tokens per page of the encoder's keys and values: few, because each sequence begins a page of its own. */
export const ENCODER_PAGE = 8;

/** A sequence for an encoder, and what is asked of it. */
export interface EncoderSequence {
  /** Token ids, at least one. */
  readonly ids: readonly number[];
  /** Token type of each; all 0 if absent. */
  readonly typeIds?: readonly number[] | undefined;
  /** Tokens whose rows are asked for, where not all are. */
  readonly positions?: readonly number[] | undefined;
}

/** Where the results of a sequence are. */
export interface SequencePlace {
  /** Row among the sequences. */
  readonly sequence: number;
  /** First of its rows among the tokens. */
  readonly firstRow: number;
  /** First of its rows among the tokens asked for. */
  readonly firstSelected: number;
}

/** Most of each size that a batch of an encoder may have. */
export interface EncoderBatchSize {
  readonly tokens: number;
  readonly sequences: number;
  /** Rows of tokens that are asked for. */
  readonly selected: number;
  /** Entries of a sequence's row of cross-attention pages; 0 if there are none. */
  readonly crossWidth: number;
}

/** Turns sequences into the numbers that an encoder's step reads. */
export class EncoderState {
  readonly #buffer: StateBuffer<string>;
  readonly #encoder: EncoderModel;
  readonly #ropes: readonly RopeTable[];
  readonly #size: EncoderBatchSize;

  constructor(device: Device, encoder: EncoderModel, size: EncoderBatchSize) {
    const { tokens, sequences, selected, crossWidth } = size;
    this.#encoder = encoder;
    this.#size = size;
    this.#ropes = encoder.ropes.map((rope) => new RopeTable(rope));
    const u32 = (...shape: readonly number[]): Field => ({ dtype: 'u32', shape });
    const fields: Record<string, Field> = {
      counts: u32(8),
      sequences: u32(sequences, 4),
      firstRows: u32(sequences),
      crossTables: u32(sequences, Math.max(1, crossWidth)),
      selected: u32(selected),
      tiles: u32(maxTiles(encoder.kv, size), 2),
      positions: u32(tokens),
      sequenceOf: u32(tokens),
      positionIds: u32(tokens),
      typeIds: u32(tokens),
      tokens: u32(tokens),
    };
    for (const [i, { rotaryDim }] of encoder.ropes.entries()) {
      fields[`rotary${i}`] = { dtype: 'f32', shape: [tokens, rotaryDim / 2, 2] };
    }
    this.#buffer = new StateBuffer(device, fields);
  }

  region(name: string): Region {
    const region = this.#buffer.regions[name];
    if (region === undefined) throw new RangeError(`encoder state: there is no region ${name}`);
    return region;
  }

  /** Pages that a batch of the most tokens and sequences takes. */
  get pages(): number {
    const { tokens, sequences } = this.#size;
    return divCeil(tokens, ENCODER_PAGE) + sequences;
  }

  get attention(): AttentionState {
    const of = (name: string) => this.region(name).tensor;
    return {
      positions: of('positions'),
      sequenceOf: of('sequenceOf'),
      sequences: of('sequences'),
      tiles: of('tiles'),
    };
  }

  /** The same tokens with their places among the decoder's pages. */
  get cross(): AttentionState {
    return { ...this.attention, tables: this.region('crossTables').tensor };
  }

  /**
   * Writes a batch into the CPU's copy of the state.
   *
   * @param fillCrossRow - writes the cross-attention pages of sequence i of `batch`
   * @returns the step's counts, and where the results of each sequence are
   */
  fill(
    batch: readonly EncoderSequence[],
    fillCrossRow?: (index: number, row: Uint32Array) => void,
  ): { readonly counts: Counts; readonly places: readonly SequencePlace[] } {
    // Sequences of one token first, as the attention kernels want them.
    const order = [...batch.keys()].toSorted(
      (a, b) => Number(isLong(batch[a])) - Number(isLong(batch[b])),
    );
    const places: SequencePlace[] = [];
    const { crossWidth } = this.#size;
    let row = 0;
    let page = 0;
    let selected = 0;
    let tiles = 0;
    let singles = 0;
    for (const [sequence, index] of order.entries()) {
      const input = batch[index];
      if (input === undefined) continue;
      const count = input.ids.length;
      places[index] = { sequence, firstRow: row, firstSelected: selected };
      this.region('sequences').words.set([row, count, count, page], sequence * 4);
      this.region('firstRows').words[sequence] = row;
      const table = this.region('crossTables').words;
      fillCrossRow?.(index, table.subarray(sequence * crossWidth, (sequence + 1) * crossWidth));
      this.#fillTokens(input, sequence, row);
      for (const position of input.positions ?? []) {
        this.region('selected').words[selected] = row + position;
        selected += 1;
      }
      if (count === 1) singles += 1;
      tiles = addTiles(this.region('tiles').words, tiles, this.#encoder.kv, { sequence, count });
      row += count;
      page += divCeil(count, ENCODER_PAGE);
    }
    const counts: Counts = {
      tokens: row,
      decodes: singles,
      samples: batch.length,
      tiles,
      splits: 1,
      combines: 0,
      candidates: selected,
      copies: 0,
    };
    const { words } = this.region('counts');
    for (const [i, name] of COUNT_NAMES.entries()) words[i] = counts[name];
    return { counts, places };
  }

  /** Sends the state of a step of `numTokens` tokens to the GPU. */
  upload(numTokens: number): void {
    const last = this.#ropes.length - 1;
    const rope = this.#ropes[last];
    if (rope === undefined) this.#buffer.upload('tokens', numTokens);
    else this.#buffer.upload(`rotary${last}`, numTokens * rope.width);
  }

  dispose(): void {
    this.#buffer.dispose();
  }

  #fillTokens({ ids, typeIds }: EncoderSequence, sequence: number, firstRow: number): void {
    const places = placesOf(ids, this.#encoder.uncountedId);
    this.region('tokens').words.set(ids, firstRow);
    this.region('positionIds').words.set(places, firstRow);
    const types = this.region('typeIds').words.subarray(firstRow, firstRow + ids.length);
    if (typeIds === undefined) types.fill(0);
    else types.set(typeIds);
    for (let i = 0; i < ids.length; i += 1) {
      this.region('positions').words[firstRow + i] = i;
      this.region('sequenceOf').words[firstRow + i] = sequence;
      for (const [at, rope] of this.#ropes.entries()) {
        rope.write(i, ids.length, this.region(`rotary${at}`).floats, firstRow + i);
      }
    }
  }
}

/**
 * Place of each token as learned positions count: its index, less the tokens before it that are not counted. A token that
 * is not counted has no place; its entry is not read.
 */
export function placesOf(ids: readonly number[], uncountedId: number | undefined): number[] {
  let place = 0;
  return ids.map((id) => (id === uncountedId ? 0 : place++));
}

function isLong(sequence: EncoderSequence | undefined): boolean {
  return (sequence?.ids.length ?? 0) > 1;
}
