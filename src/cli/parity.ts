import { type ParityOptions, type ParityReport, parity } from '../engine/inspect.ts';
import { openDirectory } from '../node/directory.ts';
import { openGpu, type AdapterChoice } from '../node/gpu.ts';
import { NoWebGpuError } from '../util/errors.ts';
import { BROWSERS } from './browser/find.ts';
import { parityInBrowser } from './browser/parity.ts';
import { choiceValue, type Command, defineCommand, numberValue, UsageError } from './command.ts';
import { formatTable } from './format.ts';
import { adapterValue, GPU_OPTIONS, WEIGHTS_OPTION, weightsValue } from './model.ts';

/** Two computations of the same network in f32 that differ in the order of their sums agree to this. */
const DEFAULT_TOLERANCE = 1e-4;

/** `quern parity`: compares models with the outputs of the reference implementation, tensor by tensor. */
export const parityCommand: Command = defineCommand({
  name: 'parity',
  usage: 'DIR... [options]',
  summary: 'compares model folders with their expected.safetensors, tensor by tensor',
  details: `Each DIR holds a model and expected.safetensors with inputs and outputs of a reference implementation:
                   inputs                             outputs
  decoder          input_ids, prompt_ids              hidden_states.0 …, logits, greedy_ids
  encoder          input_ids, token_type_ids          hidden_states.0 …, last_hidden_state, pooler_output, and of its
                                                      head: logits, start_logits, end_logits, prediction_logits, …
  encoder-decoder  input_ids, decoder_input_ids       encoder_last_hidden_state, logits, greedy_ids
and attention_mask [batch, tokens] where inputs are padded. What both name is compared; greedy_ids of an encoder-decoder
begin with its start token and are those of the first input.
An output agrees when max |ours − reference| / max |reference| is within the tolerance; weights are as in the files unless
--weights says otherwise, and rounding them needs a larger one. With --json each folder is one line:
  {"dir", "ok", "adapter", "tensors": {name: {"maxAbs", "maxRef", "rel"}}, "greedy": {"expected", "actual", "equal"}, "error"?}
The exit code is 1 when a folder does not agree or cannot be run.`,
  options: {
    tolerance: {
      type: 'string',
      value: 'X',
      help: `largest relative error, default ${DEFAULT_TOLERANCE}`,
    },
    ...WEIGHTS_OPTION,
    ...GPU_OPTIONS,
    browser: {
      type: 'string',
      value: 'NAME',
      help: `run in a page of ${BROWSERS.join(' or ')} instead of in Node`,
    },
    json: { type: 'boolean', help: 'print one JSON object per folder and line' },
  },
  examples: [
    'parity weights/tinychat',
    'parity test/fixtures/conformance/* --adapter swiftshader',
    'parity path/to/model --browser firefox --json',
  ],
  arguments: { min: 1, max: Infinity },
  async run(values, dirs, terminal) {
    const { signal } = terminal;
    const tolerance = numberValue('tolerance', values.tolerance ?? String(DEFAULT_TOLERANCE));
    if (tolerance < 0) throw new UsageError(`--tolerance: ${tolerance}, expected at least 0`);
    if (values.browser !== undefined && values.adapter !== undefined) {
      throw new UsageError('parity: --adapter is for Node; a browser chooses its own adapter');
    }
    const adapter = adapterValue(values.adapter);
    const options = { tolerance, ...weightsValue(values.weights) };
    const reports =
      values.browser === undefined
        ? parityInNode(dirs, adapter, { ...options, signal })
        : parityInBrowser(choiceValue('browser', values.browser, BROWSERS), dirs, options, signal);

    let agreeing = 0;
    for await (const report of everyFolder(dirs, reports)) {
      terminal.out(values.json === true ? `${JSON.stringify(jsonOf(report))}\n` : describe(report));
      if (report.ok) agreeing += 1;
    }
    if (values.json !== true && dirs.length > 1) {
      terminal.out(`${agreeing} of ${dirs.length} agree\n`);
    }
    return agreeing === dirs.length ? 0 : 1;
  },
});

async function* parityInNode(
  dirs: readonly string[],
  adapter: AdapterChoice,
  options: ParityOptions,
): AsyncGenerator<ParityReport> {
  const gpu = await openGpu(adapter);
  for (const dir of dirs) yield parity(dir, openDirectory(dir), { ...options, gpu });
}

/** Without WebGPU there is still one report per folder: whoever reads them counts on it. */
async function* everyFolder(
  dirs: readonly string[],
  reports: AsyncIterable<ParityReport>,
): AsyncGenerator<ParityReport> {
  let done = 0;
  try {
    for await (const report of reports) {
      done += 1;
      yield report;
    }
  } catch (error) {
    if (!(error instanceof NoWebGpuError)) throw error;
    const { message } = error;
    for (const dir of dirs.slice(done)) {
      yield { dir, ok: false, adapter: 'none', tensors: {}, greedy: null, error: message };
    }
  }
}

/** The report with its keys in the documented order, and none besides. */
function jsonOf({ dir, ok, adapter, tensors, greedy, error }: ParityReport): ParityReport {
  return { dir, ok, adapter, tensors, greedy, ...(error !== undefined && { error }) };
}

function describe({ dir, ok, adapter, tensors, greedy, error }: ParityReport): string {
  const rows = Object.entries(tensors).map(([name, { maxAbs, maxRef, rel }]) => [
    `  ${name}`,
    ...[maxAbs, maxRef, rel].map((value) => value.toExponential(2)),
  ]);
  const head = ['  tensor', 'max |error|', 'max |reference|', 'relative'];
  return [
    `${ok ? 'ok    ' : 'FAILED'} ${dir}${adapter === 'none' ? '' : ` on ${adapter}`}\n`,
    rows.length === 0 ? '' : formatTable([head, ...rows]),
    greedy === null ? '' : `  ${describeGreedy(greedy)}\n`,
    error === undefined ? '' : `  error: ${error}\n`,
  ].join('');
}

function describeGreedy({
  expected,
  actual,
  equal,
}: Exclude<ParityReport['greedy'], null>): string {
  if (equal) return `greedy: ${expected.length} ids equal`;
  const at = expected.findIndex((id, i) => id !== actual[i]);
  return at === -1
    ? `greedy: ${actual.length} ids, expected ${expected.length}`
    : `greedy: id ${at} of ${expected.length} is ${actual[at] ?? 'missing'}, expected ${expected[at]}`;
}
