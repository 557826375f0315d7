import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { EngineStats } from '../engine/api.ts';
import type { Timings } from '../engine/openai.ts';
import { Engine } from '../load.ts';
import { openGpu } from '../node/gpu.ts';
import { type Command, countValue, defineCommand, UsageError } from './command.ts';
import { type Calls, callsPer, countCalls } from './count_calls.ts';
import { formatBytes, formatNumber, formatTable, summarize } from './format.ts';
import { adapterValue, GPU_OPTIONS, checkKind, locateModel, MODEL_HELP } from './model.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const BUNDLED = `${REPOSITORY}weights/tinychat`;

type Summary = ReturnType<typeof summarize>;

/** What `quern bench --json` prints. */
export interface BenchReport {
  readonly model: string;
  readonly parameters: number;
  readonly adapter: EngineStats['adapter'];
  readonly runtime: { readonly node: string; readonly webgpu: string | null };
  /** Abbreviated hash, with `+` if files were changed since; null outside of a checkout. */
  readonly commit: string | null;
  readonly date: string;
  readonly command: string;
  readonly promptTokens: number;
  readonly generatedTokens: number;
  readonly repetitions: number;
  readonly prefillTokensPerSecond: Summary;
  readonly decodeTokensPerSecond: Summary;
  readonly timeToFirstTokenMs: Summary;
  /** GPU calls for one more token in steady decode. */
  readonly callsPerToken: Calls;
  readonly memory: EngineStats['memory'];
  /** What was done other than asked. */
  readonly notes: readonly string[];
}

/** `quern bench`: measures one model on one adapter. */
export const benchCommand: Command = defineCommand({
  name: 'bench',
  usage: '[MODEL] [options]',
  summary: 'measures prefill and decode speed, and the GPU calls of one generated token',
  details: `${MODEL_HELP} Default: the bundled weights/tinychat.
One request at a time, with prompts of random token ids, so that no prefix is in the cache; the first repetition warms
up and does not count. Calls per token are those of a long reply minus those of one half as long, per token of the
difference, counted on the device itself.`,
  options: {
    'prompt-tokens': { type: 'string', value: 'N', help: 'length of a prompt, default 512' },
    'gen-tokens': { type: 'string', value: 'N', help: 'length of a reply, default 128' },
    repetitions: { type: 'string', value: 'N', help: 'measured repetitions, default 5' },
    ...GPU_OPTIONS,
    json: { type: 'boolean', help: 'print one JSON object' },
  },
  examples: [
    'bench',
    'bench weights/tinychat --adapter lavapipe --prompt-tokens 128 --gen-tokens 64',
    'bench HuggingFaceTB/SmolLM2-135M-Instruct --json',
  ],
  arguments: { min: 0, max: 1 },
  async run(values, [model = BUNDLED], terminal, argv) {
    const wanted = {
      promptTokens: countValue('prompt-tokens', values['prompt-tokens'] ?? '512'),
      generatedTokens: countValue('gen-tokens', values['gen-tokens'] ?? '128', 2),
    };
    const repetitions = countValue('repetitions', values.repetitions ?? '5');
    const { signal } = terminal;
    const adapter = adapterValue(values.adapter);
    const source = await locateModel(model);
    await checkKind('bench', model, source, ['decoder'], signal);
    const { gpu, calls } = countCalls(await openGpu(adapter));
    const engine = await Engine.load(source, { gpu, signal });
    try {
      const stats = await engine.stats();
      const { notes, ...sizes } = fitContext(wanted, stats.model.contextLength);
      const measured = await measure(engine, calls, sizes, repetitions, signal);
      const report: BenchReport = {
        model: model === BUNDLED ? 'weights/tinychat' : model,
        parameters: stats.model.parameters,
        adapter: stats.adapter,
        runtime: { node: process.version, webgpu: dawnVersion() },
        commit: currentCommit(),
        date: new Date().toISOString(),
        command: ['quern', 'bench', ...argv].join(' '),
        ...sizes,
        repetitions,
        ...measured,
        memory: (await engine.stats()).memory,
        notes,
      };
      terminal.out(values.json === true ? `${JSON.stringify(report)}\n` : describe(report));
      return 0;
    } finally {
      await engine.dispose();
    }
  },
});

interface Sizes {
  readonly promptTokens: number;
  readonly generatedTokens: number;
}

/** Shortens the reply to half of the context and the prompt to the rest, where they do not fit. */
export function fitContext(
  { promptTokens, generatedTokens }: Sizes,
  contextLength: number,
): Sizes & { readonly notes: readonly string[] } {
  if (contextLength < 3) {
    throw new UsageError(
      `bench: the context of ${contextLength} tokens is too short to measure in`,
    );
  }
  if (promptTokens + generatedTokens <= contextLength) {
    return { promptTokens, generatedTokens, notes: [] };
  }
  const generated = Math.min(generatedTokens, Math.max(2, Math.floor(contextLength / 2)));
  const prompt = Math.min(promptTokens, contextLength - generated);
  return {
    promptTokens: prompt,
    generatedTokens: generated,
    notes: [
      `${promptTokens} + ${generatedTokens} tokens do not fit in the context of ${contextLength}: measured with ${prompt} + ${generated}`,
    ],
  };
}

type Measured = Pick<
  BenchReport,
  'prefillTokensPerSecond' | 'decodeTokensPerSecond' | 'timeToFirstTokenMs' | 'callsPerToken'
>;

async function measure(
  engine: Engine,
  calls: Readonly<Calls>,
  { promptTokens, generatedTokens }: Sizes,
  repetitions: number,
  signal: AbortSignal,
): Promise<Measured> {
  const { vocab } = (await engine.stats()).model;
  const reply = async (tokens: number): Promise<Timings> => {
    const prompt = Array.from({ length: promptTokens }, () => Math.floor(Math.random() * vocab));
    const settings = { max_tokens: tokens, ignore_eos: true, temperature: 0, signal };
    return (await engine.completions.create({ prompt, ...settings })).usage.timings;
  };
  const callsOf = async (tokens: number): Promise<Calls> => {
    const before = { ...calls };
    await reply(tokens);
    return callsPer(before, calls, 1);
  };

  await reply(generatedTokens);
  const timings: Timings[] = [];
  for (let i = 0; i < repetitions; i += 1) timings.push(await reply(generatedTokens));
  const half = Math.floor(generatedTokens / 2);
  const short = await callsOf(half);
  const long = await callsOf(generatedTokens);
  const of = (name: keyof Timings): Summary => summarize(timings.map((timing) => timing[name]));
  return {
    prefillTokensPerSecond: of('prefill_tokens_per_second'),
    decodeTokensPerSecond: of('decode_tokens_per_second'),
    timeToFirstTokenMs: of('time_to_first_token_ms'),
    callsPerToken: callsPer(short, long, generatedTokens - half),
  };
}

function describe(report: BenchReport): string {
  const { adapter, runtime, callsPerToken: calls, memory } = report;
  const row = (name: string, { median, min, max }: Summary): readonly string[] => [
    name,
    ...[median, min, max].map(formatNumber),
  ];
  const names = [adapter.vendor, adapter.architecture, adapter.description];
  const features = [
    adapter.isSoftware ? 'software' : 'hardware',
    adapter.hasF16 ? 'f16' : 'no f16',
    adapter.hasSubgroups ? 'subgroups' : 'no subgroups',
  ];
  return [
    `model    ${report.model} (${report.parameters} parameters)\n`,
    `adapter  ${names.filter((name) => name !== '').join(' ')} (${features.join(', ')})\n`,
    `runtime  Node ${runtime.node}, Dawn (webgpu ${runtime.webgpu ?? 'of unknown version'})\n`,
    `commit   ${report.commit ?? 'unknown'}, ${report.date}\n`,
    `command  ${report.command}\n`,
    ...report.notes.map((note) => `note     ${note}\n`),
    '\n',
    formatTable([
      [`${report.repetitions} repetitions`, 'median', 'min', 'max'],
      row(`prefill of ${report.promptTokens} tokens, tokens/s`, report.prefillTokensPerSecond),
      row(`decode of ${report.generatedTokens} tokens, tokens/s`, report.decodeTokensPerSecond),
      row('time to first token, ms', report.timeToFirstTokenMs),
    ]),
    '\n',
    formatTable([
      ['per generated token', 'calls'],
      ['dispatches', formatNumber(calls.dispatches)],
      ['compute passes', formatNumber(calls.passes)],
      ['submits', formatNumber(calls.submits)],
      ['read-backs', formatNumber(calls.readbacks)],
      ['buffers created', formatNumber(calls.buffers)],
      ['bind groups created', formatNumber(calls.bindGroups)],
      ['pipelines created', formatNumber(calls.pipelines)],
      ['shader modules created', formatNumber(calls.shaderModules)],
    ]),
    '\n',
    `GPU memory ${formatBytes(memory.total)}: weights ${formatBytes(memory.weights)}, KV cache ${formatBytes(memory.kv)}, scratch ${formatBytes(memory.scratch)}\n`,
  ].join('');
}

function dawnVersion(): string | null {
  try {
    const manifest: unknown = createRequire(import.meta.url)('webgpu/package.json');
    const version = typeof manifest === 'object' && manifest && Reflect.get(manifest, 'version');
    return typeof version === 'string' ? version : null;
  } catch {
    return null;
  }
}

function currentCommit(): string | null {
  const git = (...args: readonly string[]): string | undefined => {
    const { status, stdout } = spawnSync('git', args, { cwd: REPOSITORY, encoding: 'utf8' });
    return status === 0 ? stdout.trim() : undefined;
  };
  const hash = git('rev-parse', '--short', 'HEAD');
  if (hash === undefined) return null;
  return git('status', '--porcelain') === '' ? hash : `${hash}+`;
}
