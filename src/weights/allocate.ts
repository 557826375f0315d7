import type { DeviceFacts } from '../gpu/facts.ts';
import type { DeviceTensor, DType } from '../gpu/tensor.ts';
import {
  isQuantized,
  matrixBytes,
  QUANT_GROUP,
  type MatrixShard,
  type WeightForm,
} from '../kernels/matrix.ts';
import { DeviceLimitError } from '../util/errors.ts';

/** Where weights get their memory: a `Device`, or what counts in its place. */
export interface WeightMemory {
  readonly facts: {
    readonly limits: Pick<DeviceFacts['limits'], 'maxStorageBufferBindingSize' | 'maxBufferSize'>;
  };
  createTensor(
    purpose: 'weights',
    label: string,
    dtype: DType,
    shape: readonly number[],
  ): DeviceTensor;
}

/**
 * Memory for a matrix, cut between rows where it is larger than a binding may be.
 *
 * @throws {DeviceLimitError} if two rows do not fit in a binding
 */
export function allocateMatrix(
  memory: WeightMemory,
  name: string,
  form: WeightForm,
  rows: number,
  cols: number,
): readonly MatrixShard[] {
  const { maxStorageBufferBindingSize, maxBufferSize } = memory.facts.limits;
  const most = Math.min(maxStorageBufferBindingSize, maxBufferSize);
  const rowBytes = matrixBytes(form, 1, cols);
  // An even number of rows, so that elements and scales of every shard start on a whole 32-bit word.
  const rowsPerShard = Math.min(rows, Math.floor(most / rowBytes / 2) * 2);
  if (rowsPerShard === 0) {
    throw new DeviceLimitError(
      'maxStorageBufferBindingSize',
      most,
      2 * rowBytes,
      `a row of ${name} does not fit`,
    );
  }
  const shards: MatrixShard[] = [];
  for (let firstRow = 0; firstRow < rows; firstRow += rowsPerShard) {
    const count = Math.min(rowsPerShard, rows - firstRow);
    shards.push({ firstRow, rows: count, ...allocatePlanes(memory, name, form, count, cols) });
  }
  return shards;
}

function allocatePlanes(
  memory: WeightMemory,
  name: string,
  form: WeightForm,
  rows: number,
  cols: number,
): Pick<MatrixShard, 'tensor' | 'scales'> {
  if (!isQuantized(form)) {
    return { tensor: memory.createTensor('weights', name, form, [rows, cols]) };
  }
  const perWord = form === 'q8' ? 4 : 8;
  return {
    tensor: memory.createTensor('weights', name, 'u32', [rows, cols / perWord]),
    scales: memory.createTensor('weights', `${name} scales`, 'f16', [rows, cols / QUANT_GROUP]),
  };
}
