import type {
  Seq2Seq,
  Seq2SeqChunk,
  Seq2SeqInput,
  Seq2SeqOptions,
  Seq2SeqParams,
  Seq2SeqResult,
} from '../engine/seq2seq_api.ts';
import type { ModelLocation } from '../weights/sources/resolve.ts';
import { loadRemotely, postInputs, RemoteModel, takeSignal } from './remote_model.ts';

type Inputs = Seq2SeqInput | readonly Seq2SeqInput[];
type Whole = Seq2SeqParams & { readonly stream?: false };
type Streamed = Seq2SeqParams & { readonly stream: true };
type Chunks = AsyncIterableIterator<Seq2SeqChunk>;

/** An encoder-decoder in a worker. */
export class RemoteSeq2Seq extends RemoteModel<'seq2seq'> implements Seq2Seq {
  /** Loads a model in a worker; see `Seq2Seq.load` in load.ts. */
  static async load(from: ModelLocation, options: Seq2SeqOptions): Promise<RemoteSeq2Seq> {
    return new RemoteSeq2Seq(await loadRemotely('seq2seq', from, options));
  }

  generate(inputs: Inputs, params: Streamed): Promise<Chunks>;
  generate(input: Seq2SeqInput, params?: Whole): Promise<Seq2SeqResult>;
  generate(inputs: readonly Seq2SeqInput[], params?: Whole): Promise<Seq2SeqResult[]>;
  generate(
    inputs: Inputs,
    params?: Seq2SeqParams,
  ): Promise<Seq2SeqResult | Seq2SeqResult[] | Chunks>;
  async generate(
    inputs: Inputs,
    params: Seq2SeqParams = {},
  ): Promise<Seq2SeqResult | Seq2SeqResult[] | Chunks> {
    const [posted, signal] = takeSignal(params, 'request');
    return this.link.call('generate', [postInputs(inputs), posted], { signal });
  }
}
