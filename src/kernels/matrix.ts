import type { DeviceTensor } from '../gpu/tensor.ts';

/** Consecutive rows of a matrix in one buffer. */
export interface MatrixShard {
  readonly firstRow: number;
  readonly rows: number;
  /** [rows, cols] in the matrix's dtype; rows follow each other without padding. */
  readonly tensor: DeviceTensor;
}

/**
 * A weight matrix [rows, cols] on the GPU. One that is larger than a binding may be lies in several buffers,
 * cut between rows; kernels run once per shard.
 */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly dtype: 'f32' | 'f16' | 'bf16';
  readonly shards: readonly MatrixShard[];
}
