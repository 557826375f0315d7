import type { LoadProgress } from '../engine/api.ts';
import { openGpu } from '../node/gpu.ts';
import { formatBytes } from './format.ts';
import type { WeightOption } from '../weights/forms.ts';
import { adapterValue, weightsValue } from './model.ts';
import type { Terminal } from './terminal.ts';

/** What models of every kind are loaded with. */
export interface CommonLoadOptions {
  readonly gpu: GPU;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly weights?: WeightOption;
}

/**
 * Opens the adapter that `--adapter` names, for weights as `--weights` says; progress is shown where there is a screen.
 *
 * @throws {UsageError} if there is no adapter or no form of this name
 * @throws {NoWebGpuError} if there is no WebGPU in this process
 */
export async function loadOptions(
  values: { readonly adapter?: string; readonly weights?: string },
  terminal: Terminal,
): Promise<CommonLoadOptions> {
  const { signal } = terminal;
  const weights = weightsValue(values.weights);
  const common = { gpu: await openGpu(adapterValue(values.adapter)), signal, ...weights };
  if (!terminal.isErrScreen) return common;
  return { ...common, onProgress: (progress) => terminal.err(progressLine(progress)) };
}

/** Redraws one line of the screen; the last call clears it. */
function progressLine({ phase, file, loadedBytes, totalBytes }: LoadProgress): string {
  const clear = '\r\u001B[K';
  switch (phase) {
    case 'files':
      return `${clear}reading configuration`;
    case 'weights':
      return `${clear}${file?.split('/').pop() ?? 'weights'} ${formatBytes(loadedBytes)} of ${formatBytes(totalBytes)}`;
    case 'compile':
      return `${clear}compiling shaders`;
    case 'ready':
      return clear;
  }
}
