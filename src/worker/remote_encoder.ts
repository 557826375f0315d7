import type {
  Encoder,
  EncoderInput,
  EncoderOptions,
  Encoding,
  EncodingOptions,
} from '../engine/encoder_api.ts';
import { isRecord } from '../util/objects.ts';
import type { ModelLocation } from '../weights/sources/resolve.ts';
import { loadRemotely, postInputs, RemoteModel, takeSignal } from './remote_model.ts';

type Inputs = EncoderInput | readonly EncoderInput[];

/** An encoder in a worker. */
export class RemoteEncoder extends RemoteModel<'encoder'> implements Encoder {
  /** Loads a model in a worker; see `Encoder.load` in load.ts. */
  static async load(from: ModelLocation, options: EncoderOptions): Promise<RemoteEncoder> {
    return new RemoteEncoder(await loadRemotely('encoder', from, options));
  }

  encode(input: EncoderInput, options?: EncodingOptions): Promise<Encoding>;
  encode(inputs: readonly EncoderInput[], options?: EncodingOptions): Promise<Encoding[]>;
  encode(inputs: Inputs, options?: EncodingOptions): Promise<Encoding | Encoding[]>;
  async encode(inputs: Inputs, options: EncodingOptions = {}): Promise<Encoding | Encoding[]> {
    const { onProgress, ...rest }: EncodingOptions = isRecord(options) ? options : {};
    const isFollowed = typeof onProgress === 'function';
    const [posted, signal] = takeSignal(isFollowed ? rest : options, 'request');
    return this.link.call('encode', [postInputs(inputs), posted], {
      signal,
      onProgress: isFollowed ? onProgress : undefined,
    });
  }
}
