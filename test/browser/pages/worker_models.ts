/** What encoders and encoder-decoders give in the page, in a worker and in a shared worker, as JSON. @module */
import {
  Encoder,
  Seq2Seq,
  type EncoderOptions,
  type EncodingOptions,
  type LoadOptions,
} from '../../../src/index.ts';

type Json = Readonly<Record<string, unknown>>;

const FIXTURES = '/test/fixtures/conformance';

/** Options of a load, and the phases it goes through. */
function watch(worker: boolean | 'shared'): { options: EncoderOptions; phases: Set<string> } {
  const phases = new Set<string>();
  const onProgress: LoadOptions['onProgress'] = ({ phase }) => phases.add(phase);
  return { options: { worker, selfTest: 'never', onProgress }, phases };
}

/** Encodes alone and together, aborts in the middle, and disposes meanwhile. */
export async function encode(worker: boolean | 'shared'): Promise<Json> {
  const { options, phases } = watch(worker);
  const encoder = await Encoder.load(`${FIXTURES}/bert-base`, options);
  const inputs = [5, 1, 17].map((length) => ({
    ids: Array.from({ length }, (_, i) => 3 + ((i * 7) % 60)),
  }));
  const outputs = { outputs: ['last_hidden_state'], pooling: 'mean', normalize: true } as const;
  const told: { done: number; total: number }[] = [];
  const onProgress: EncodingOptions['onProgress'] = (progress) => told.push(progress);
  const several = await encoder.encode(inputs, { ...outputs, onProgress });
  const one = await encoder.encode({ ids: [3, 4] }, outputs);

  const many = Array.from({ length: 400 }, () => inputs[2] ?? { ids: [] });
  const abort = new AbortController();
  let done = 0;
  const aborted = failure(
    encoder.encode(many, {
      ...outputs,
      signal: abort.signal,
      onProgress(progress) {
        done = progress.done;
        abort.abort('enough');
      },
    }),
  );
  const reason = await aborted;
  const wrong = await failure(encoder.encode('no tokenizer'));
  const thrown = await failure(
    encoder.encode(inputs, {
      onProgress() {
        throw new RangeError('mine');
      },
    }),
  );
  const { thread, model } = await encoder.stats();
  const left = failure(encoder.encode(many, outputs));
  await encoder.dispose();
  return {
    thread,
    phases: [...phases],
    encodings: [...several, one].map(({ ids, vector, outputs: { last_hidden_state: hidden } }) => ({
      ids,
      vector: [...(vector ?? [])],
      hidden: { ...hidden, data: [...(hidden?.data ?? [])] },
    })),
    last: told.at(-1),
    isStopped: done > 0 && done < many.length,
    dim: model.dim,
    reason,
    errors: [wrong, thrown, await left, await failure(encoder.stats())].map(String),
  };
}

/** Generates whole, by beams and streamed, aborts in the middle, and disposes meanwhile. */
export async function generate(worker: boolean | 'shared'): Promise<Json> {
  const { options, phases } = watch(worker);
  const model = await Seq2Seq.load(`${FIXTURES}/t5`, options);
  const input = { ids: [7, 20, 33, 46, 59, 1] };
  const long = { max_new_tokens: 200, eos_token_id: [] } as const;
  const greedy = { num_beams: 1, max_new_tokens: 8 } as const;
  const several = await model.generate([input, { ids: [9, 1] }], greedy);
  const beams = await model.generate(input, {
    num_beams: 3,
    num_return_sequences: 2,
    max_new_tokens: 8,
  });
  const streamed: number[] = [];
  for await (const { ids } of await model.generate(input, { ...greedy, stream: true })) {
    streamed.push(...ids);
  }
  const abort = new AbortController();
  const stream = await model.generate(input, { ...long, stream: true, signal: abort.signal });
  const first = (await stream.next()).done;
  abort.abort('enough');
  const reason = await failure(drain(stream));
  const { thread } = await model.stats();
  const open = failure(drain(await model.generate(input, { ...long, stream: true })));
  await model.dispose();
  return {
    thread,
    phases: [...phases],
    several,
    beams,
    streamed,
    first,
    reason,
    errors: [await open, await failure(model.stats())].map(String),
  };
}

/** Loads an encoder twice at once where it is shared; tells the phases of both loads. */
export async function share(): Promise<Json> {
  const [first, second] = [watch('shared'), watch('shared')];
  const one = await Encoder.load(`${FIXTURES}/t5`, first.options);
  const two = await Encoder.load(`${FIXTURES}/t5`, second.options);
  const other = watch('shared');
  const seq2seq = await Seq2Seq.load(`${FIXTURES}/t5`, other.options);
  const abort = new AbortController();
  const ids = [4, 5, 6];
  const given = failure(one.encode({ ids }, { signal: abort.signal }));
  abort.abort('enough');
  const reason = await given;
  await one.dispose();
  const { ids: echoed } = await two.encode({ ids });
  await Promise.all([two.dispose(), seq2seq.dispose()]);
  const phases = [first, second, other].map((load) => [...load.phases].length);
  return { phases, reason, echoed };
}

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const chunk of stream) void chunk;
}

async function failure(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  return 'no error';
}
