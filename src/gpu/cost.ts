import { capacityOf, sizeAt, type Counts, type DeviceTensor, type Extent } from './tensor.ts';

/** What a dispatch moves and computes at the least: each byte it needs once, and the arithmetic of its formula. */
export interface Cost {
  readonly bytes: number;
  /** A multiplication and an addition are two. */
  readonly flops: number;
}

/** What the cost of a dispatch depends on when its step runs. */
export interface Work {
  readonly counts: Counts;
  /** Keys that attention reads, over all sequences: each once, however many queries see it. */
  readonly kvTokens: number;
  /** Query-key pairs that attention scores in one head, over all sequences. */
  readonly pairs: number;
}

/** Bytes of a tensor's elements in a step with these counts. */
export function bytesAt({ shape, sizeBytes }: DeviceTensor, counts: Counts): number {
  const [rows = 1] = shape;
  return (sizeBytes / capacityOf(rows)) * sizeAt(rows, counts);
}

/** What a dispatch costs whose kernel does not say: every tensor bound to it once, whole. */
export function boundCost(bindings: readonly DeviceTensor[], { counts }: Work): Cost {
  const distinct = bindings.filter(
    (tensor, i) => bindings.findIndex((other) => isSamePlace(tensor, other)) === i,
  );
  return { bytes: distinct.reduce((sum, tensor) => sum + bytesAt(tensor, counts), 0), flops: 0 };
}

/** What a dispatch costs that does the same for each of so many rows. */
export function rowsCost(
  rows: Extent,
  { bytes, flops = 0 }: { readonly bytes: number; readonly flops?: number },
): (work: Work) => Cost {
  return ({ counts }) => {
    const count = sizeAt(rows, counts);
    return { bytes: count * bytes, flops: count * flops };
  };
}

function isSamePlace({ memory: a }: DeviceTensor, { memory: b }: DeviceTensor): boolean {
  if (a.kind === 'scratch') return b.kind === 'scratch' && a.id === b.id;
  return b.kind === 'buffer' && a.buffer === b.buffer && a.offset === b.offset;
}
