import { Engine } from '../load.ts';
import { openGpu } from '../node/gpu.ts';
import { type Command, countValue, defineCommand, UsageError } from './command.ts';
import { formatNumber } from './format.ts';
import {
  adapterValue,
  contextValues,
  CONTEXT_OPTIONS,
  GPU_OPTIONS,
  checkKind,
  locateModel,
  MODEL_HELP,
  modelName,
  SPECULATION_OPTION,
  speculationValue,
  WEIGHTS_OPTION,
  weightsValue,
} from './model.ts';
import { isLoopback } from './serve/access.ts';
import { type AnsweredRequest, ApiServer, type ApiServerOptions } from './serve/api_server.ts';

/** How long replies may go on after Ctrl-C. */
const GRACE_MS = 10_000;

const OPTIONS = {
  port: { type: 'string', value: 'N', help: 'port to listen on, default 8000; 0 is any free one' },
  host: { type: 'string', value: 'ADDRESS', help: 'default 127.0.0.1: only this machine' },
  'model-name': {
    type: 'string',
    value: 'NAME',
    help: "what clients call the model, default: its hub id, or its folder's name",
  },
  'api-key': {
    type: 'string',
    value: 'KEY',
    help: 'what clients must send; default: the variable QUERN_API_KEY, else nothing',
  },
  'cors-origin': {
    type: 'string',
    value: 'ORIGIN',
    multiple: true,
    help: 'site whose pages may use the server, e.g. http://localhost:5173; * is all',
  },
  ...CONTEXT_OPTIONS,
  ...WEIGHTS_OPTION,
  ...SPECULATION_OPTION,
  ...GPU_OPTIONS,
} as const;

/** `quern serve`: OpenAI's HTTP API. */
export const serveCommand: Command = defineCommand({
  name: 'serve',
  usage: 'MODEL [options]',
  summary: "answers OpenAI's HTTP API: chat completions, completions, models",
  details: `${MODEL_HELP} Requests that come at the same time are batched. Ctrl-C lets replies end for ${GRACE_MS / 1000} s; a second one kills.`,
  options: OPTIONS,
  examples: [
    'serve weights/tinychat',
    'serve HuggingFaceTB/SmolLM2-135M-Instruct --port 8080 --context 4096',
    'serve weights/tinychat --host 0.0.0.0 --api-key secret --cors-origin https://example.org',
  ],
  arguments: { min: 1, max: 1 },
  async run(values, [model = ''], terminal) {
    const settings = { ...contextValues(values), ...weightsValue(values.weights) };
    const adapter = adapterValue(values.adapter);
    const options: ApiServerOptions = {
      model: values['model-name'] ?? (await modelName(model)),
      host: values.host ?? '127.0.0.1',
      port: countValue('port', values.port ?? '8000', 0),
      apiKey: keyValue(values['api-key'], process.env['QUERN_API_KEY']),
      corsOrigins: (values['cors-origin'] ?? []).map(originValue),
      onAnswered: (answered) => terminal.err(logLine(answered)),
    };
    const { signal } = terminal;
    // Before the model, so that a taken port is told at once and clients learn that they must wait.
    const server = await listen(options);
    let engine: Engine | undefined;
    try {
      const source = await locateModel(model);
      await checkKind('serve', model, source, ['decoder'], signal);
      const gpu = await openGpu(adapter);
      const speculation = await speculationValue(values.speculation);
      engine = await Engine.load(source, { ...settings, ...speculation, gpu, signal });
      server.use(engine);
      terminal.err(await remarks(engine, options));
      terminal.out(`${server.url}\n`);
      await aborted(signal);
      return 0;
    } finally {
      await server.close(GRACE_MS);
      await engine?.dispose();
    }
  },
});

async function listen(options: ApiServerOptions): Promise<ApiServer> {
  const { host, port } = options;
  try {
    return await ApiServer.listen(options);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    const reason = code === 'EADDRINUSE' ? 'already in use' : `not to be had (${code})`;
    throw new UsageError(`serve: ${host} port ${port} is ${reason}; choose another --port`, {
      cause,
    });
  }
}

async function remarks(engine: Engine, options: ApiServerOptions): Promise<string> {
  const { model, adapter } = await engine.stats();
  const lines = [
    `${options.model}: context ${model.contextLength} tokens, on ${adapter.description}`,
  ];
  if (!model.hasChatTemplate) lines.push('it has no chat template: only /v1/completions works');
  if (!isLoopback(options.host) && options.apiKey === undefined) {
    lines.push('anyone who reaches this machine can use the server; --api-key prevents it');
  }
  return lines.map((line) => `${line}\n`).join('');
}

function logLine({ method, path, status, elapsedMs, isAborted }: AnsweredRequest): string {
  const note = isAborted ? ', the client left' : '';
  return `${method} ${path} ${status}, ${formatNumber(elapsedMs)} ms${note}\n`;
}

function keyValue(given: string | undefined, fallback: string | undefined): string | undefined {
  if (given === '') throw new UsageError('--api-key: "", expected a text that is not empty');
  return given ?? (fallback === '' ? undefined : fallback);
}

function originValue(text: string): string {
  if (text === '*' || (URL.canParse(text) && new URL(text).origin === text)) return text;
  throw new UsageError(
    `--cors-origin: ${JSON.stringify(text)}, expected scheme, host and port such as http://localhost:5173, or *`,
  );
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
