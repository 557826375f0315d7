import type { Device } from '../gpu/device.ts';
import { StateBuffer } from '../gpu/state_buffer.ts';
import { COUNT_NAMES, type Counts } from '../gpu/tensor.ts';
import { attentionTileRows, chooseSplits, type AttentionState } from '../kernels/attention.ts';
import { LAST_TOKEN } from '../kernels/embedding.ts';
import { encodeSampleRow, SAMPLE_ROW_WORDS, type SampleState } from '../kernels/sample.ts';
import type { Decoder } from '../models/family.ts';
import { RopeTable } from '../nn/rope.ts';
import { divCeil } from '../util/arith.ts';
import type { Request } from './core/request.ts';
import { usesHistory, type SamplingParams } from './core/sampling.ts';
import type { ScheduledStep, StepEntry } from './core/scheduled_step.ts';
import type { ResolvedLimits } from './limits.ts';

/** Logit biases a request may have. OpenAI's API has no stated limit; clients send a few. */
export const MAX_LOGIT_BIAS = 512;

/** Workgroups that keep a GPU busy in the one-query attention; enough for discrete cards, harmless for others. */
const TARGET_WORKGROUPS = 128;

type Region =
  | 'counts'
  | 'samplerRows'
  | 'sequences'
  | 'sampleRows'
  | 'tables'
  | 'biasTokens'
  | 'biasValues'
  | 'tiles'
  | 'positions'
  | 'sequenceOf'
  | 'tokens'
  | 'rotary';

/** Turns a scheduled step into the numbers that the GPU reads. */
export class StepState {
  readonly #buffer: StateBuffer<Region>;
  readonly #limits: ResolvedLimits;
  readonly #decoder: Decoder;
  readonly #rope: RopeTable;
  readonly #tableWidth: number;
  /** Entries of the bias list of the step last filled. */
  #biases = 0;

  constructor(device: Device, decoder: Decoder, limits: ResolvedLimits, tableWidth: number) {
    const { maxSequences, tokenBudget } = limits;
    const { heads, kvHeads, headDim } = decoder.kv;
    this.#limits = limits;
    this.#decoder = decoder;
    this.#rope = new RopeTable(decoder.rope);
    this.#tableWidth = tableWidth;
    const tileQueries = attentionTileRows(headDim) / (heads / kvHeads);
    const u32 = (...shape: readonly number[]) => ({ dtype: 'u32', shape }) as const;
    const maxTiles = maxSequences + divCeil(tokenBudget, tileQueries);
    const maxBias = maxSequences * MAX_LOGIT_BIAS;
    this.#buffer = new StateBuffer<Region>(device, {
      counts: u32(8),
      samplerRows: u32(maxSequences, SAMPLE_ROW_WORDS),
      sequences: u32(maxSequences, 4),
      sampleRows: u32(Math.max(maxSequences, tokenBudget)),
      tables: u32(maxSequences, tableWidth),
      tiles: u32(maxTiles, 2),
      positions: u32(tokenBudget),
      sequenceOf: u32(tokenBudget),
      tokens: u32(tokenBudget),
      rotary: { dtype: 'f32', shape: [tokenBudget, decoder.rope.rotaryDim / 2, 2] },
      // Last, because most steps have none and need not send them.
      biasTokens: u32(maxBias),
      biasValues: { dtype: 'f32', shape: [maxBias] },
    });
  }

  get regions(): StateBuffer<Region>['regions'] {
    return this.#buffer.regions;
  }

  get attention(): AttentionState {
    const { positions, sequenceOf, sequences, tables, tiles } = this.regions;
    return {
      positions: positions.tensor,
      sequenceOf: sequenceOf.tensor,
      sequences: sequences.tensor,
      tables: tables.tensor,
      tiles: tiles.tensor,
    };
  }

  get sampling(): SampleState {
    const { samplerRows, biasTokens, biasValues } = this.regions;
    return {
      rows: samplerRows.tensor,
      biasTokens: biasTokens.tensor,
      biasValues: biasValues.tensor,
    };
  }

  /** Writes a step into the CPU's copy of the state. */
  fill(
    step: ScheduledStep,
    samplingOf: (request: Request) => SamplingParams,
    fillTableRow: (request: Request, row: Uint32Array) => void,
  ): Counts {
    const { sampleRows, tables } = this.regions;
    let row = 0;
    let samples = 0;
    let bias = 0;
    let longest = 0;
    let candidates = 0;
    for (const [sequence, entry] of step.entries.entries()) {
      const { request, count, kvLength } = entry;
      const width = this.#tableWidth;
      fillTableRow(request, tables.words.subarray(sequence * width, (sequence + 1) * width));
      this.#fillTokens(entry, sequence, row);
      row += count;
      if (count === 1) longest = Math.max(longest, kvLength);
      if (!entry.samples) continue;
      sampleRows.words[samples] = row - 1;
      const sampling = samplingOf(request);
      bias = this.#fillSampler(entry, sampling, samples, bias);
      if (sampling.topLogprobs !== undefined) candidates = 1;
      samples += 1;
    }
    this.#biases = bias;
    const tiles = this.#fillTiles(step.entries);
    return this.#setCounts(step.numTokens, step.numSingles, samples, candidates, tiles, longest);
  }

  /** Writes a step that computes one whole sequence from pages 0, 1, … and asks for all its rows. */
  fillSequence(tokens: readonly number[]): Counts {
    const { sampleRows, sequences, tables, tokens: ids } = this.regions;
    this.#biases = 0;
    const count = tokens.length;
    for (const [i, token] of tokens.entries()) {
      ids.words[i] = token;
      sampleRows.words[i] = i;
      this.#fillPosition(i, i, 0, count);
    }
    sequences.words.set([0, count, count, 0]);
    for (let page = 0; page < this.#tableWidth; page += 1) tables.words[page] = page;
    const isSingle = count === 1;
    const tiles = isSingle ? 0 : this.#fillTiles([{ count }]);
    return this.#setCounts(count, Number(isSingle), count, 0, tiles, count);
  }

  /** Sends the state of a step of `numTokens` tokens to the GPU. */
  upload(numTokens: number): void {
    if (this.#biases > 0) this.#buffer.upload('biasValues', this.#biases);
    else this.#buffer.upload('rotary', numTokens * this.#rope.width);
  }

  #fillTokens(entry: StepEntry, sequence: number, firstRow: number): void {
    const { request, slot, start, count, kvLength, inputFromGpu } = entry;
    const { sequences, tokens } = this.regions;
    sequences.words.set([firstRow, count, kvLength, 0], sequence * 4);
    for (let i = 0; i < count; i += 1) {
      const position = start + i;
      const known = request.tokens[position] ?? 0;
      tokens.words[firstRow + i] = inputFromGpu ? LAST_TOKEN + slot : known;
      // The length known when a token was first processed: the whole prompt, then one more each time.
      const length = Math.max(request.numPrompt, position + 1);
      this.#fillPosition(firstRow + i, position, sequence, length);
    }
  }

  #fillPosition(row: number, position: number, sequence: number, length: number): void {
    const { positions, sequenceOf, rotary } = this.regions;
    positions.words[row] = position;
    sequenceOf.words[row] = sequence;
    this.#rope.write(position, length, rotary.floats, row);
  }

  /** @returns the end of the step's bias list */
  #fillSampler(
    { request, slot, kvLength }: StepEntry,
    sampling: SamplingParams,
    row: number,
    biasStart: number,
  ): number {
    const { samplerRows, biasTokens, biasValues } = this.regions;
    let end = biasStart;
    for (const [token, value] of sampling.logitBias) {
      biasTokens.words[end] = token;
      biasValues.floats[end] = value;
      end += 1;
    }
    const [seedLow, seedHigh] = sampling.seed;
    encodeSampleRow(samplerRows.words, samplerRows.floats, row, {
      ...sampling,
      slot,
      seedLow,
      seedHigh,
      position: kvLength - request.numPrompt,
      biasStart,
      biasCount: end - biasStart,
      wantsLogprobs: sampling.topLogprobs !== undefined,
      topLogprobs: sampling.topLogprobs ?? 0,
      keepsHistory: usesHistory(sampling),
    });
    return end;
  }

  /** Cuts the queries of sequences with more than one token into tiles. @returns their number */
  #fillTiles(entries: readonly { readonly count: number }[]): number {
    const { words } = this.regions.tiles;
    const { heads, kvHeads, headDim } = this.#decoder.kv;
    const tileRows = attentionTileRows(headDim);
    let tiles = 0;
    for (const [sequence, { count }] of entries.entries()) {
      if (count === 1) continue;
      const packedRows = (count * heads) / kvHeads;
      for (let first = 0; first < packedRows; first += tileRows) {
        words[tiles * 2] = sequence;
        words[tiles * 2 + 1] = first;
        tiles += 1;
      }
    }
    return tiles;
  }

  #setCounts(
    tokens: number,
    decodes: number,
    samples: number,
    candidates: number,
    tiles: number,
    kvLength: number,
  ): Counts {
    const { kvHeads, window } = this.#decoder.kv;
    const { pageSize } = this.#limits;
    const splits = chooseSplits({
      decodes,
      kvHeads,
      kvLength: Math.min(kvLength, window ?? kvLength),
      pageSize,
      target: TARGET_WORKGROUPS,
    });
    const counts: Counts = {
      tokens,
      decodes,
      samples,
      tiles,
      splits,
      combines: splits > 1 ? decodes : 0,
      candidates: candidates * samples,
    };
    for (const [i, name] of COUNT_NAMES.entries()) this.regions.counts.words[i] = counts[name];
    return counts;
  }
}
