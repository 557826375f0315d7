import type {
  Encoder,
  EncoderInput,
  EncoderOptions,
  Encoding,
  EncodingOptions,
} from '../engine/encoder_api.ts';
import type { ModelLocation } from '../weights/sources/resolve.ts';
import { plainCopy } from './post.ts';
import { loadRemotely, RemoteModel, takeSignal } from './remote_model.ts';

/** An encoder in a worker. */
export class RemoteEncoder extends RemoteModel<'encoder'> implements Encoder {
  /** Loads a model in a worker; see `Encoder.load` in load.ts. */
  static async load(from: ModelLocation, options: EncoderOptions): Promise<RemoteEncoder> {
    return new RemoteEncoder(await loadRemotely('encoder', from, options));
  }

  encode(input: EncoderInput, options?: EncodingOptions): Promise<Encoding>;
  encode(inputs: readonly EncoderInput[], options?: EncodingOptions): Promise<Encoding[]>;
  async encode(
    inputs: EncoderInput | readonly EncoderInput[],
    options: EncodingOptions = {},
  ): Promise<Encoding | Encoding[]> {
    const { onProgress, ...rest } = options ?? {};
    const isFollowed = typeof onProgress === 'function';
    const [posted, signal] = takeSignal(isFollowed ? rest : options, 'encode');
    return this.link.call('encode', [plainCopy(inputs, 'encode'), posted], {
      signal,
      ...(isFollowed && { onProgress }),
    });
  }
}
