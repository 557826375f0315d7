import { SHADER_LIBRARY } from './shader_library.ts';
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

const sources: string[] = [];

/** Declares a kernel; its binding names are inferred, and its text is counted in {@link shaderHash}. */
export function defineKernel<const B extends Bindings>(kernel: Kernel<B>): Kernel<B> {
  sources.push(kernel.source);
  return kernel;
}

/** A number that changes with the text of any shader. FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
export function shaderHash(): number {
  let hash = 0x811c9dc5;
  for (const text of [...sources, ...Object.values(SHADER_LIBRARY)]) {
    for (let i = 0; i < text.length; i += 1) {
      hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    }
  }
  return hash >>> 0;
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
