import { type ParityReport, parity } from '../../engine/inspect.ts';
import { urlSource } from '../../weights/sources/url.ts';
import type { PageParityOptions } from './parity.ts';
import { modelPath } from './model_path.ts';

/** Runs one folder in this page; see {@link parityInBrowser} for the other side. */
export async function run(
  dir: string,
  index: number,
  options: PageParityOptions,
): Promise<ParityReport> {
  const source = urlSource(new URL(modelPath(index), globalThis.location.href));
  return parity(dir, source, options);
}
