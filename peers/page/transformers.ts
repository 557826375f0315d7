/**
 * Transformers.js with models from memory: it is given the graphs of the comparison with ONNX Runtime, in the names that
 * it knows, and adds its own handling of inputs, caches and generation. Its version of ONNX Runtime is its own.
 *
 * @module
 */
import type { Arena } from '../arena.ts';
import { BERT_BASE, bertModel, openQuernBert } from '../bert.ts';
import type { Clock, Sample } from '../clock.ts';
import { relativeError, type Contest, type Entry } from '../contest.ts';
import { SMOLLM2_135M, STORIES_15M } from '../decoder.ts';
import { decoderModel, type DecoderConfig } from '../decoder_model.ts';
import type { OnnxModel } from '../onnx.ts';
import { floats } from '../ort.ts';
import type { Form } from '../quern.ts';
import { randomIds } from '../random_weights.ts';
import { CONTEXT, openQuernSide, REPLY, replyContest, samplesOf, type Side } from '../replies.ts';

const NAME = 'Transformers.js';
const MODEL = 'made-up';
const BERT_TOKENS = 128;

type Library = typeof import('@huggingface/transformers');
type PretrainedOptions = NonNullable<Parameters<Library['AutoModel']['from_pretrained']>[1]>;

export const TRANSFORMERS_ENTRIES: readonly Entry[] = [
  {
    group: 'bert, Transformers.js',
    name: `BERT-base f32, ${BERT_TOKENS} tokens`,
    peer: NAME,
    open: openBert,
  },
  ...(['q4', 'f32'] as const).flatMap((form) =>
    Object.entries({ stories15M: STORIES_15M, 'SmolLM2-135M': SMOLLM2_135M }).map(
      ([name, config]) => ({
        group: `decoder ${form}, ${NAME}`,
        name: `${name} shape ${form}`,
        peer: NAME,
        open: (arena: Arena) => openDecoder(arena, config, form),
      }),
    ),
  ),
];

async function openBert({ clock, openDevice, openPeer }: Arena): Promise<Contest> {
  const ids = randomIds('bert', BERT_TOKENS, BERT_BASE.vocab_size);
  const mine = await openQuernBert(await openDevice(), ids);
  const graph = bertModel(BERT_TOKENS);
  const library = await loadLibrary();
  const model = await library.AutoModel.from_pretrained(
    MODEL,
    serve(library, BERT_BASE, 'model.onnx', graph),
  );
  const shape = [1, BERT_TOKENS];
  const inputs = {
    input_ids: new library.Tensor('int64', BigInt64Array.from(ids, BigInt), shape),
    token_type_ids: new library.Tensor('int64', new BigInt64Array(BERT_TOKENS), shape),
  };
  const theirs = async (): Promise<Float32Array> =>
    floats((await model(inputs))['last_hidden_state']);
  const peer = await openPeer();
  const feeds = {
    input_ids: peer.tensor('i64', BigInt64Array.from(ids, BigInt), shape),
    token_type_ids: peer.tensor('i64', new BigInt64Array(BERT_TOKENS), shape),
  };
  const [output] = Object.values(await peer.runOnCpu(graph, feeds, ['last_hidden_state']));
  const expected = floats(output);
  const theirError = relativeError(await theirs(), expected);
  return {
    amounts: { '': { count: BERT_TOKENS, unit: 'tokens' } },
    error: relativeError(await mine.run(), expected),
    notes: () => [versionOf(library), `the peer's own error ${theirError.toExponential(1)}`],
    quern: async () => ({ '': await clock.timed(mine.run) }),
    peer: async () => ({ '': await clock.timed(theirs) }),
    async dispose() {
      mine.dispose();
      await model.dispose();
    },
  };
}

async function openDecoder(
  { clock, openDevice }: Arena,
  config: DecoderConfig,
  form: Form,
): Promise<Contest> {
  const mine = await openQuernSide(await openDevice(), clock, config, form);
  return replyContest(mine, await openTheirs(clock, config, form), config.vocab_size);
}

async function openTheirs(clock: Clock, config: DecoderConfig, form: Form): Promise<Side> {
  const library = await loadLibrary();
  const naming = { mask: 'attention_mask', past: 'past_key_values' };
  const graph = decoderModel(config, form, CONTEXT, naming);
  const model = await library.AutoModelForCausalLM.from_pretrained(
    MODEL,
    serve(library, config, 'model.onnx', graph),
  );
  const inputsOf = (ids: readonly number[]) => {
    const shape = [1, ids.length];
    return {
      input_ids: new library.Tensor('int64', BigInt64Array.from(ids, BigInt), shape),
      attention_mask: new library.Tensor('int64', new BigInt64Array(ids.length).fill(1n), shape),
    };
  };
  return {
    notes: [versionOf(library)],
    logits: async (ids) => floats((await model(inputsOf(ids)))['logits']),
    async reply(prompt) {
      const ids: number[] = [];
      const laps: Promise<Sample>[] = [];
      const watch = await clock.start();
      let isPrompt = true;
      const streamer = {
        put(values: bigint[][]) {
          // The prompt comes first.
          if (isPrompt) {
            isPrompt = false;
            return;
          }
          ids.push(...(values[0] ?? []).map(Number));
          if (ids.length === 1 || ids.length === REPLY) laps.push(watch.lap());
        },
        end() {},
      };
      await model.generate({
        ...inputsOf(prompt),
        max_new_tokens: REPLY,
        do_sample: false,
        eos_token_id: -1,
        streamer,
      });
      return { ids, samples: samplesOf(await Promise.all(laps)) };
    },
    async dispose() {
      await model.dispose();
    },
  };
}

async function loadLibrary(): Promise<Library> {
  const library = await import('@huggingface/transformers');
  const { env } = library;
  // Not from a content delivery network, but beside its ONNX Runtime.
  if (env.backends.onnx.wasm) env.backends.onnx.wasm.wasmPaths = undefined;
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.useBrowserCache = false;
  env.useWasmCache = false;
  return library;
}

/** Makes files of a model that exist in memory only what the library finds next. */
function serve(
  { env }: Library,
  config: object,
  file: string,
  { bytes, externalData }: OnnxModel,
): PretrainedOptions {
  const files: Readonly<Record<string, BodyInit>> = {
    'config.json': JSON.stringify(config),
    [file]: new Uint8Array(bytes),
  };
  env.fetch = (input) => {
    const found = files[String(input).split('/').at(-1) ?? ''];
    return Promise.resolve(
      new Response(found ?? null, { status: found === undefined ? 404 : 200 }),
    );
  };
  return {
    device: 'webgpu',
    dtype: 'fp32',
    local_files_only: true,
    session_options: { externalData },
  };
}

function versionOf({ env }: Library): string {
  return `Transformers.js ${env.version}, ONNX Runtime ${env.backends.onnx.versions?.web ?? '?'}`;
}
