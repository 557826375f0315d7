import type { Dim, Extent } from './tensor.ts';

/**
 * How a kernel uses a binding: `read` and `uniform` never write; `write` and `update` do, and `update` also
 * reads what was there before the dispatch.
 */
export type Access = 'read' | 'write' | 'update' | 'uniform';

export type Bindings = Readonly<Record<string, Access>>;

/** A WGSL compute kernel and the bindings its file declares, all in group 0 and in this order. */
export interface Kernel<B extends Bindings = Bindings> {
  /** Base name of the shader file. */
  readonly name: string;
  readonly source: string;
  /** A binding called `counts` is the step's count uniform; the recorder supplies it. */
  readonly bindings: B;
}

/** Declares a kernel; exists for the inference of its binding names. */
export function defineKernel<const B extends Bindings>(kernel: Kernel<B>): Kernel<B> {
  return kernel;
}

/**
 * Workgroups along one axis of a grid: a number fixed when recording, or one for every `per` units of an
 * extent that is known when the step runs.
 */
export type GridAxis = number | { readonly extent: Dim; readonly per: number };

/** Workgroups that cover `extent` when each handles `per` of them. */
export function groupsOf(extent: Extent, per: number): GridAxis {
  return typeof extent === 'number' ? Math.ceil(extent / per) : { extent, per };
}
