/** What the kernels that multiply by a weight matrix have in common. @module */
import { boundCost } from '../gpu/cost.ts';
import type { DeviceFacts } from '../gpu/facts.ts';
import type { Bindings } from '../gpu/kernel.ts';
import { Recorder, type Call } from '../gpu/recorder.ts';
import type { Slots } from '../gpu/shader.ts';
import { capacityOf, sizeAt, type DeviceTensor, type Extent, type Tensor } from '../gpu/tensor.ts';
import { activationSlot, type Activation } from './activation.ts';
import { blockElements, type Matrix, type MatrixShard, type WeightForm } from './matrix.ts';
import type { Variant } from './variants.ts';

export interface MatmulOptions {
  /** Normalizes the rows of x first: each is divided by its root mean square and scaled by `weight`, f32 [weight.cols]. */
  readonly norm?: { readonly weight: DeviceTensor; readonly eps: number } | undefined;
  /** Factor on the product. */
  readonly scale?: number | undefined;
  /** f32 [weight.rows], added to every row. */
  readonly bias?: DeviceTensor | undefined;
  /** Applied to the scaled product and bias. */
  readonly activation?: Activation | undefined;
  /**
   * Gated linear unit: the first half of the result's columns, activated, times the second half. Dauphin et al. 2016,
   * arXiv:1612.08083. Neither with `activation` nor with `residual`.
   */
  readonly gate?: Activation | undefined;
  /** f32 [rows, weight.rows], added last. */
  readonly residual?: Tensor | undefined;
  /** Name of a variant that overrides the choice; for tests and measurements. */
  readonly variant?: string | undefined;
}

/** What the choice of a kernel depends on besides the device. */
export interface MatmulShape {
  /** Most rows of x. */
  readonly rows: number;
  /** Columns of x and of the weight. */
  readonly cols: number;
  /** Rows of the weight. */
  readonly outputs: number;
  readonly form: WeightForm;
  /** Whether the weight lies in one buffer. */
  readonly isWhole: boolean;
}

/** One multiplication by one shard of a weight. */
export interface MatmulCall {
  readonly recorder: Recorder;
  readonly x: Tensor;
  readonly matrix: Matrix;
  readonly shard: MatrixShard;
  readonly y: Tensor;
  readonly rows: Extent;
  readonly options: MatmulOptions;
}

/** One way to multiply. */
export interface MatmulVariant {
  /** The shader file that stands or falls with it. */
  readonly kernel: Variant | 'matmul_plain';
  /** A library that the kernel includes for it, and that another can stand in for. */
  readonly library?: Variant;
  /** Whether it can run this multiplication on a device with these facts. */
  readonly suits: (facts: DeviceFacts, shape: MatmulShape) => boolean;
  /** Whether it normalizes x itself; if not, x has been normalized. */
  readonly fusesNorm?: boolean;
  /** Whether it applies the gate itself, y being [rows, weight.rows / 2]; it is asked for weights in one buffer only. */
  readonly fusesGate?: boolean;
  readonly record: (call: MatmulCall) => void;
}

export type MatmulVariants = Readonly<Record<string, MatmulVariant>>;

/** Bindings of every kernel that reads the operands of a {@link MatmulCall} as they are. */
export const MATMUL_OPERANDS: {
  readonly x: 'read';
  readonly weight: 'read';
  readonly scales: 'read';
  readonly bias: 'read';
  readonly residual: 'read';
  readonly y: 'write';
} = { x: 'read', weight: 'read', scales: 'read', bias: 'read', residual: 'read', y: 'write' };

/** The tensors behind {@link MATMUL_OPERANDS}: what is not there is bound to x, and read by nobody. */
export function matmulBindings({
  x,
  shard,
  y,
  options,
}: MatmulCall): Readonly<Record<keyof typeof MATMUL_OPERANDS, DeviceTensor>> {
  const { bias = x, residual = x } = options;
  return { x, weight: shard.tensor, scales: shard.scales ?? x, bias, residual, y };
}

/** The slots of the kernel's part of the weight, and of `shaders/lib/matmul_store.wgsl`. */
export function matmulSlots({ matrix, shard, options }: MatmulCall): Slots {
  const { scale = 1, bias, activation, residual } = options;
  return {
    N: shard.rows,
    N_FIRST: shard.firstRow,
    N_TOTAL: matrix.rows,
    SCALE: scale,
    HAS_BIAS: bias !== undefined,
    ...(activation && { HAS_ACTIVATION: true, ACTIVATION: activationSlot(activation) }),
    HAS_RESIDUAL: residual !== undefined,
  };
}

/** How the dispatch of a multiplication is measured: what it is called, and what it costs. */
export function matmulCost(call: MatmulCall): Required<Pick<Call<Bindings>, 'label' | 'cost'>> {
  const { matrix, shard, rows } = call;
  const operands = Object.values(matmulBindings(call));
  return {
    label: `${matrix.form} ${shard.rows}x${matrix.cols}`,
    cost: (work) => ({
      ...boundCost(operands, work),
      flops: 2 * sizeAt(rows, work.counts) * shard.rows * matrix.cols,
    }),
  };
}

/** The slots of kernels for any number of rows. */
export function rowsSlots({ rows }: MatmulCall): Slots {
  return { ROWS: capacityOf(rows), ROW_COUNT: Recorder.rowsSlot(rows) };
}

/** Whether rows of the weight are whole blocks of 16 bytes. */
export function hasWholeBlocks({ cols, form }: MatmulShape): boolean {
  return cols % blockElements(form) === 0;
}

export function shapeOf(rows: Extent, { rows: outputs, cols, form, shards }: Matrix): MatmulShape {
  return { rows: capacityOf(rows), cols, outputs, form, isWhole: shards.length === 1 };
}
