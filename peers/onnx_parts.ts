/** Parts of networks as the exporters write them. @module */
import { QUANT_GROUP } from '../src/kernels/matrix.ts';
import type { OnnxGraph } from './onnx.ts';
import type { Form } from './quern.ts';
import { RandomMatrix, randomVector } from './random_weights.ts';

interface MatrixPart {
  /** Names of input and output. */
  readonly x: string;
  readonly y: string;
  /** Of the weight; several are stacked, as in Quern. */
  readonly name: string | Readonly<Record<string, number>>;
  readonly inputs: number;
  readonly outputs: number;
}

/** y = x · Wᵀ: `MatMul`, or `MatMulNBits` of 4 bits. */
export function addMatrix(graph: OnnxGraph, form: Form, part: MatrixPart): string {
  const { x, y, name, inputs, outputs } = part;
  const parts = typeof name === 'string' ? { [name]: outputs } : name;
  if (form === 'f32') return graph.node('MatMul', [x, addStacked(graph, parts, inputs)], y);

  const label = `${Object.keys(parts).join('+')}.bits`;
  const matrices = matricesOf(parts, inputs);
  const groups = inputs / QUANT_GROUP;
  const nibbles = new Uint8Array((inputs * outputs) / 2);
  const scales = new Float32Array(groups * outputs);
  let row = 0;
  for (const matrix of matrices) {
    nibbles.set(matrix.nibbles(), (row * inputs) / 2);
    scales.set(matrix.floatScales(), row * groups);
    row += matrix.rows;
  }
  graph.weight(label, [outputs, groups, QUANT_GROUP / 2], nibbles);
  graph.weight(`${label}.scales`, [outputs, groups], scales);
  return graph.node('com.microsoft:MatMulNBits', [x, label, `${label}.scales`], y, {
    K: inputs,
    N: outputs,
    bits: 4,
    block_size: QUANT_GROUP,
  });
}

/** The transposed weights side by side, f32 [inputs, outputs]. */
export function addStacked(
  graph: OnnxGraph,
  parts: Readonly<Record<string, number>>,
  inputs: number,
): string {
  const outputs = Object.values(parts).reduce((sum, rows) => sum + rows, 0);
  const values = transposed(matricesOf(parts, inputs), inputs, outputs);
  return graph.weight(`${Object.keys(parts).join('+')}.transposed`, [inputs, outputs], values);
}

/** y = x + b */
export function addBias(
  graph: OnnxGraph,
  x: string,
  y: string,
  parts: Readonly<Record<string, number>>,
): string {
  return graph.node('Add', [x, addVector(graph, parts)], y);
}

/** A vector, or several laid end to end. */
export function addVector(graph: OnnxGraph, parts: Readonly<Record<string, number>>): string {
  const size = Object.values(parts).reduce((sum, rows) => sum + rows, 0);
  const values = new Float32Array(size);
  let at = 0;
  for (const [name, rows] of Object.entries(parts)) {
    values.set(randomVector(name, rows), at);
    at += rows;
  }
  return graph.weight(Object.keys(parts).join('+'), [size], values);
}

/** The rows of an embedding table, f32 [vocab, dim]. */
export function addTable(graph: OnnxGraph, name: string, rows: number, cols: number): string {
  return graph.weight(name, [rows, cols], new RandomMatrix(name, rows, cols).floats());
}

function matricesOf(
  parts: Readonly<Record<string, number>>,
  cols: number,
): readonly RandomMatrix[] {
  return Object.entries(parts).map(([name, rows]) => new RandomMatrix(name, rows, cols));
}

/** [inputs, outputs], the matrices side by side. */
function transposed(
  matrices: readonly RandomMatrix[],
  inputs: number,
  outputs: number,
): Float32Array {
  const [only] = matrices;
  if (only !== undefined && matrices.length === 1) return only.transposedFloats();
  const values = new Float32Array(inputs * outputs);
  let column = 0;
  for (const matrix of matrices) {
    const part = matrix.transposedFloats();
    for (let k = 0; k < inputs; k += 1) {
      values.set(part.subarray(k * matrix.rows, (k + 1) * matrix.rows), k * outputs + column);
    }
    column += matrix.rows;
  }
  return values;
}
