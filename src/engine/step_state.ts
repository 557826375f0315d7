import type { Device } from '../gpu/device.ts';
import { StateBuffer } from '../gpu/state_buffer.ts';
import { COUNT_NAMES, type Counts } from '../gpu/tensor.ts';
import {
  chooseSplits,
  splitLimits,
  type AttentionState,
  type SplitLimits,
} from '../kernels/attention.ts';
import { encodeBeamRow, type BeamState } from '../kernels/beam_candidates.ts';
import { LAST_TOKEN } from '../kernels/embedding.ts';
import { encodeSampleRow, type SampleState } from '../kernels/sample.ts';
import type { Decoder } from '../models/family.ts';
import { RopeTable } from '../nn/rope.ts';
import { addTiles } from './attention_tiles.ts';
import type { Request } from './core/request.ts';
import { usesHistory, type SamplingParams } from './core/sampling.ts';
import { countSamples, type ScheduledStep, type StepEntry } from './core/scheduled_step.ts';
import { placesOf } from './encoder_state.ts';
import { placeOfDraft, placeOfRow } from './last_tokens.ts';
import type { ResolvedLimits } from './limits.ts';
import { stepFields, type StepRegion as Region, type TableWidths } from './step_regions.ts';

/** What the next tokens of a beam are chosen from. */
export interface BeamRules {
  /** Candidates wanted. */
  readonly count: number;
  /** Token id → what its log-probability is multiplied by; `FORBIDDEN_FACTOR` forbids it. */
  readonly factors: ReadonlyMap<number, number>;
  /** Whether the probabilities of the tokens that these leave are to sum to 1. */
  readonly renormalizes: boolean;
}

/** Writes the rows that say where a sequence's pages are. */
export interface TableRows {
  fillTableRow(request: Request, row: Uint32Array): void;
  fillCrossTableRow(request: Request, row: Uint32Array): void;
}

/** An entry of a step with how its next token is chosen. */
export interface PlannedEntry {
  readonly entry: StepEntry;
  readonly sampling: SamplingParams;
  /** Of a beam: what it is sampled by instead. */
  readonly rules: BeamRules | undefined;
}

/** Turns a scheduled step into the numbers that the GPU reads. */
export class StepState {
  readonly #buffer: StateBuffer<Region>;
  readonly #limits: ResolvedLimits;
  readonly #decoder: Decoder;
  readonly #ropes: readonly RopeTable[];
  readonly #widths: TableWidths;
  readonly #splitLimits: SplitLimits;
  /** Entries of the list of logit biases and of beams' rules in the step last filled. */
  #rules = 0;

  constructor(device: Device, decoder: Decoder, limits: ResolvedLimits, widths: TableWidths) {
    this.#limits = limits;
    this.#decoder = decoder;
    this.#ropes = decoder.ropes.map((rope) => new RopeTable(rope));
    this.#widths = widths;
    this.#buffer = new StateBuffer<Region>(device, stepFields(decoder, limits, widths));
    this.#splitLimits = splitLimits(device.facts, this.regions.sequences.words.length / 4);
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

  /** The same queries over the keys of their encoder output. */
  get cross(): AttentionState {
    const { crossSequences, crossTables } = this.regions;
    return {
      ...this.attention,
      sequences: crossSequences.tensor,
      tables: crossTables.tensor,
    };
  }

  get sampling(): SampleState {
    const { samplerRows, ruleTokens, ruleValues } = this.regions;
    return {
      rows: samplerRows.tensor,
      biasTokens: ruleTokens.tensor,
      biasValues: ruleValues.tensor,
    };
  }

  get beams(): BeamState {
    const { beamRows, ruleTokens, ruleValues } = this.regions;
    return {
      rows: beamRows.tensor,
      ruleTokens: ruleTokens.tensor,
      ruleFactors: ruleValues.tensor,
    };
  }

  /** Writes a step into the CPU's copy of the state. */
  fill(
    { numTokens, numSingles, copies }: ScheduledStep,
    planned: readonly PlannedEntry[],
    tables: TableRows,
  ): Counts {
    const { sampleRows } = this.regions;
    this.#rules = 0;
    let sequence = 0;
    let row = 0;
    let samples = 0;
    let longest = 0;
    let candidates = 0;
    let tiles = 0;
    for (const { entry, sampling, rules } of planned) {
      const { request } = entry;
      const crossLength = request.encoderInput?.length ?? 0;
      for (const part of partsOf(entry)) {
        const { start, count } = part;
        this.#fillTables(request, sequence, tables);
        this.regions.crossSequences.words.set([row, count, crossLength, 0], sequence * 4);
        this.#fillTokens(entry, part, sequence, row);
        tiles = this.#addTiles(tiles, sequence, count);
        if (count === 1) longest = Math.max(longest, start + count, crossLength);
        sequence += 1;
        row += count;
      }
      const rows = countSamples(entry);
      if (rows === 0) continue;
      for (let i = 0; i < rows; i += 1) sampleRows.words[samples + i] = row - rows + i;
      this.#fillSampler(entry, sampling, samples);
      this.#fillBeam(rules, samples);
      if (sampling.topLogprobs !== undefined) candidates = 1;
      samples += rows;
    }
    for (const [i, { from, to }] of copies.entries()) {
      this.regions.copies.words.set([from, to], i * 2);
    }
    return this.#setCounts(longest, {
      tokens: numTokens,
      decodes: numSingles,
      samples,
      candidates: candidates * samples,
      tiles,
      copies: copies.length,
    });
  }

  /**
   * Writes a step that computes one whole sequence from pages 0, 1, … and asks for all its rows.
   *
   * @param crossLength - keys of its encoder output, in the pages after those of a longest sequence
   */
  fillSequence(tokens: readonly number[], crossLength: number): Counts {
    const { sampleRows, sequences, crossSequences, tables, crossTables } = this.regions;
    const { tableWidth, crossTableWidth } = this.#widths;
    this.#rules = 0;
    const count = tokens.length;
    const places = placesOf(tokens, this.#decoder.uncountedId);
    for (const [i, token] of tokens.entries()) {
      this.regions.tokens.words[i] = token;
      sampleRows.words[i] = i;
      this.#fillPosition(i, i, 0, count, places[i] ?? i);
    }
    sequences.words.set([0, count, count, 0]);
    crossSequences.words.set([0, count, crossLength, 0]);
    fillPages(tables.words.subarray(0, tableWidth), 0);
    fillPages(crossTables.words.subarray(0, crossTableWidth), tableWidth);
    return this.#setCounts(Math.max(count, crossLength), {
      tokens: count,
      decodes: Number(count === 1),
      samples: count,
      candidates: 0,
      tiles: this.#addTiles(0, 0, count),
      copies: 0,
    });
  }

  /** Sends the state of a step of `numTokens` tokens to the GPU. */
  upload(numTokens: number): void {
    const last = this.#ropes.length - 1;
    if (this.#rules > 0) this.#buffer.upload('ruleValues', this.#rules);
    else if (last < 0) this.#buffer.upload('tokens', numTokens);
    else this.#buffer.upload(`rotary${last}`, numTokens * (this.#ropes[last]?.width ?? 0));
  }

  #fillTables(request: Request, sequence: number, rows: TableRows): void {
    const { tableWidth, crossTableWidth } = this.#widths;
    const { tables, crossTables } = this.regions;
    const rowOf = (words: Uint32Array, width: number): Uint32Array =>
      words.subarray(sequence * width, (sequence + 1) * width);
    rows.fillTableRow(request, rowOf(tables.words, tableWidth));
    if (crossTableWidth === 0) return;
    rows.fillCrossTableRow(request, rowOf(crossTables.words, crossTableWidth));
  }

  #fillTokens(
    { request, slot, kvLength, drafts, inputFromGpu }: StepEntry,
    { start, count }: EntryPart,
    sequence: number,
    firstRow: number,
  ): void {
    const { sequences, tokens } = this.regions;
    const { uncountedId } = this.#decoder;
    // Only prompts are counted: a generated token takes the place of its position.
    const places =
      uncountedId === undefined || start >= request.numPrompt
        ? []
        : placesOf(request.tokens.slice(0, request.numPrompt), uncountedId);
    const firstDraft = kvLength - drafts.length;
    sequences.words.set([firstRow, count, start + count, 0], sequence * 4);
    for (let i = 0; i < count; i += 1) {
      const position = start + i;
      tokens.words[firstRow + i] =
        position >= firstDraft
          ? this.#draftedToken(drafts, position - firstDraft, slot)
          : inputFromGpu
            ? LAST_TOKEN + slot
            : (request.tokens[position] ?? 0);
      // The length known when a token was first processed: the whole prompt, then one more each time.
      const length = Math.max(request.numPrompt, position + 1);
      const place = places[position] ?? position;
      this.#fillPosition(firstRow + i, position, sequence, length, place);
    }
  }

  #draftedToken(drafts: readonly number[], index: number, slot: number): number {
    const id = drafts[index] ?? -1;
    return id >= 0 ? id : LAST_TOKEN + placeOfDraft(this.#limits, index, slot);
  }

  #fillPosition(
    row: number,
    position: number,
    sequence: number,
    length: number,
    place: number,
  ): void {
    const { positions, sequenceOf, positionIds } = this.regions;
    positions.words[row] = position;
    sequenceOf.words[row] = sequence;
    positionIds.words[row] = place;
    for (const [i, rope] of this.#ropes.entries()) {
      const rotary = this.regions[`rotary${i}`];
      if (rotary !== undefined) rope.write(position, length, rotary.floats, row);
    }
  }

  #fillBeam(rules: BeamRules | undefined, row: number): void {
    const { start: ruleStart, count: ruleCount } = this.#fillRules(rules?.factors ?? []);
    const { count = 0, renormalizes = false } = rules ?? {};
    const params = { count, ruleStart, ruleCount, renormalizes };
    encodeBeamRow(this.regions.beamRows.words, row, params);
  }

  /** Writes how an entry samples, from `firstRow` on: in the same way after its token and after each draft. */
  #fillSampler(entry: StepEntry, sampling: SamplingParams, firstRow: number): void {
    const { request, slot, kvLength, drafts } = entry;
    const { words, floats } = this.regions.samplerRows;
    const bias = this.#fillRules(sampling.logitBias);
    const [seedLow, seedHigh] = sampling.seed;
    const position = kvLength - drafts.length - request.numPrompt;
    for (let i = 0; i <= drafts.length; i += 1) {
      encodeSampleRow(words, floats, firstRow + i, {
        ...sampling,
        slot: drafts.length === 0 ? slot : placeOfRow(this.#limits, firstRow + i),
        seedLow,
        seedHigh,
        position: position + i,
        biasStart: bias.start,
        biasCount: bias.count,
        wantsLogprobs: sampling.topLogprobs !== undefined,
        topLogprobs: sampling.topLogprobs ?? 0,
        keepsHistory: usesHistory(sampling),
      });
    }
  }

  /** @returns where in the step's list of tokens and values they are */
  #fillRules(rules: Iterable<readonly [token: number, value: number]>): {
    readonly start: number;
    readonly count: number;
  } {
    const { ruleTokens, ruleValues } = this.regions;
    const start = this.#rules;
    for (const [token, value] of rules) {
      ruleTokens.words[this.#rules] = token;
      ruleValues.floats[this.#rules] = value;
      this.#rules += 1;
    }
    return { start, count: this.#rules - start };
  }

  #addTiles(tiles: number, sequence: number, count: number): number {
    return addTiles(this.regions.tiles.words, tiles, this.#decoder.kv, { sequence, count });
  }

  /** @param kvLength - most keys that a sequence of one token attends to */
  #setCounts(kvLength: number, known: Omit<Counts, 'splits' | 'combines'>): Counts {
    const { kvHeads, window } = this.#decoder.kv;
    const { pageSize } = this.#limits;
    const { decodes } = known;
    const splits = chooseSplits({
      decodes,
      kvHeads,
      kvLength: Math.min(kvLength, window ?? kvLength),
      pageSize,
      ...this.#splitLimits,
    });
    const counts: Counts = { ...known, splits, combines: splits > 1 ? decodes : 0 };
    for (const [i, name] of COUNT_NAMES.entries()) this.regions.counts.words[i] = counts[name];
    return counts;
  }
}

/** A part of an entry that is computed as a sequence of its own. */
type EntryPart = Pick<StepEntry, 'start' | 'count'>;

/** The whole entry; with drafts, each of its tokens, so that the one-query attention splits their keys. */
function partsOf({ start, count, drafts }: StepEntry): readonly EntryPart[] {
  if (drafts.length === 0) return [{ start, count }];
  return Array.from({ length: count }, (_, i) => ({ start: start + i, count: 1 }));
}

/** Writes a row of consecutive pages. */
export function fillPages(row: Uint32Array, firstPage: number): void {
  for (let i = 0; i < row.length; i += 1) row[i] = firstPage + i;
}
