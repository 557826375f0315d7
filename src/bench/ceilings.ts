/**
 * What a device could do at most with a model, from what was measured of the device alone:
 *
 *   decode   steps/s ≤ BW / (W + KV)           W: bytes of all weights that a step reads, each once, scales included,
 *                                              the embedding table left out; KV: bytes of the keys and values it reads
 *   prefill  tokens/s ≤ FMA · T / FLOP         FLOP = 2 · P · T + 4 · L · H · K · pairs
 *
 * P is the number of weights that every token is multiplied with, and pairs the query-key pairs that attention scores:
 * T · (T + 1) / 2 if causal, T² to both sides. BW and FMA are of {@link Peaks}; FMA is that of f32.
 *
 * @module
 */
import type { Device } from '../gpu/device.ts';
import type { RunStep } from '../engine/run_step.ts';
import { isRun, type Dispatch, type Recording } from '../gpu/recording.ts';
import { NO_COUNTS, type DeviceTensor } from '../gpu/tensor.ts';

/** Kernels that look up single rows of a matrix. */
const LOOKUPS = new Set(['embedding', 'position_embedding']);

/** Bytes of the weights that a recorded step reads from one end to the other. */
export function weightBytes(device: Device, recording: Recording): number {
  const read = new Map<GPUBuffer, DeviceTensor>();
  for (const { name, bindings } of recording.dispatches) {
    if (LOOKUPS.has(name)) continue;
    for (const tensor of bindings) {
      const { memory } = tensor;
      if (memory.kind !== 'buffer' || device.purposeOf(memory.buffer) !== 'weights') continue;
      read.set(memory.buffer, tensor);
    }
  }
  return [...read.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** P of the formula: weights that each token of a recorded step is multiplied with, the head left out. */
export function multipliedWeights(recording: Recording): number {
  const work = { counts: { ...NO_COUNTS, tokens: 1 }, kvTokens: 0, pairs: 0 };
  return recording.dispatches.reduce((sum, { cost }) => sum + cost(work).flops, 0) / 2;
}

/** Operations of a step as it was run, whatever it was for. */
export function stepFlops({ recording, work }: RunStep): number {
  const run = recording.dispatches.filter((dispatch) => isRun(dispatch, work.counts));
  return run.reduce((sum, { cost }) => sum + cost(work).flops, 0);
}

/** Layers of attention in a recorded step. */
export function attentionLayers(recording: Recording): number {
  const isFirst = ({ name }: Dispatch): boolean =>
    /^(attention|disentangled)_(tile|direct)/.test(name);
  return recording.dispatches.filter(isFirst).length;
}

/** FLOP of the formula. */
export function forwardFlops(
  {
    weights,
    layers,
    heads,
    headDim,
  }: {
    readonly weights: number;
    readonly layers: number;
    readonly heads: number;
    readonly headDim: number;
  },
  tokens: number,
  pairs: number,
): number {
  return 2 * weights * tokens + 4 * layers * heads * headDim * pairs;
}
