import { DECODERS } from '../models/decoders.ts';
import { ENCODER_DECODERS } from '../models/encoder_decoders.ts';
import { ENCODERS } from '../models/encoders.ts';
import type { ModelKind, Models } from '../models/family.ts';
import { kindOf } from '../models/kinds.ts';
import type { ModelSource } from '../weights/source.ts';
import { openAs, readModelConfig, type OpenedModel } from './model.ts';

/**
 * Reads configuration and weight headers of a model of any kind, and hands them to the function for its kind.
 *
 * @throws as `openModel`
 */
export async function openAnyModel<T>(
  source: ModelSource,
  use: { readonly [K in ModelKind]: (opened: OpenedModel<Models[K]>) => T },
  signal?: AbortSignal,
): Promise<T> {
  const config = await readModelConfig(source, signal);
  switch (kindOf(config)) {
    case 'decoder':
      return use.decoder(await openAs(source, config, DECODERS, signal));
    case 'encoder':
      return use.encoder(await openAs(source, config, ENCODERS, signal));
    case 'seq2seq':
      return use.seq2seq(await openAs(source, config, ENCODER_DECODERS, signal));
  }
}
