import type { ParityOptions, ParityReport } from './engine/inspect.ts';
import type { ModelSource } from './weights/source.ts';

/**
 * Runs a model on the inputs in its `expected.safetensors` and compares every value that both name, and the greedy
 * continuation. A model that cannot be run is reported, not thrown.
 *
 * @param dir - name for the report
 * @throws `signal.reason` when aborted
 */
export async function parity(
  dir: string,
  source: ModelSource,
  options: ParityOptions = {},
): Promise<ParityReport> {
  // Apart, so that a page fetches the engine only when it uses it.
  const { parity: compare } = await import('./engine/inspect.ts');
  return compare(dir, source, options);
}
