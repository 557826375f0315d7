/**
 * Everything that an engine must do alike in the page, in a worker and in a shared worker. Each function tells what
 * came out as JSON; the test compares.
 *
 * @module
 */
import {
  Engine,
  type LoadOptions,
  type LoadProgress,
  type ModelSource,
} from '../../../src/index.ts';

type Json = Readonly<Record<string, unknown>>;

const MODEL = '/weights/tinychat';
const FILES = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'model.safetensors',
];
const MESSAGES = [{ role: 'user', content: 'hello' }] as const;
const STORY = [{ role: 'user', content: 'Tell me a story about a cat.' }] as const;

let engine: Engine;
const events: string[] = [];

/** Loads TinyChat; the functions below use it. */
export async function load(worker: LoadOptions['worker'], more: LoadOptions = {}): Promise<Json> {
  events.length = 0;
  const progress: LoadProgress[] = [];
  engine = await Engine.load(MODEL, {
    ...more,
    ...(worker !== undefined && { worker }),
    onProgress: (step) => progress.push(step),
    onRecovery: ({ phase }) => events.push(phase),
  });
  const stats = await engine.stats();
  return {
    thread: stats.thread,
    isSoftware: stats.adapter.isSoftware,
    parameters: stats.model.parameters,
    phases: [...new Set(progress.map(({ phase }) => phase))],
    hasTotal: progress.some(({ loadedBytes, totalBytes }) => loadedBytes > 0 && totalBytes > 1e6),
  };
}

/** Greedy replies, whole and streamed, one and several. */
export async function replies(): Promise<Json> {
  const { completions } = engine.chat;
  const whole = await completions.create({ messages: MESSAGES, max_tokens: 12, temperature: 0 });
  const texts = ['', '', ''];
  let usage: Json | undefined;
  const stream = await completions.create({
    messages: MESSAGES,
    max_tokens: 12,
    n: 3,
    temperature: 1,
    seed: 5,
    stream: true,
    logprobs: true,
  });
  let chunks = 0;
  for await (const chunk of stream) {
    chunks += 1;
    for (const { index, delta } of chunk.choices) texts[index] += delta.content ?? '';
    if (chunk.usage !== undefined) usage = { completion: chunk.usage.completion_tokens };
  }
  const unicode = await engine.completions.create({
    prompt: ['Grüße, 世界 🌍', 'dé'],
    max_tokens: 2,
    echo: true,
    temperature: 0,
  });
  return {
    whole: whole.choices[0]?.message.content,
    finish: whole.choices[0]?.finish_reason,
    texts,
    isStreamed: chunks > 6,
    usage,
    unicode: unicode.choices.map(({ text }) => text),
    ids: await engine.tokenize('Grüße 🌍'),
    text: await engine.detokenize(await engine.tokenize('Grüße 🌍')),
  };
}

/** Aborts before, between and after; leaving a loop; and that nothing runs on. */
export async function aborts(): Promise<Json> {
  const { completions } = engine.chat;
  const reason = { mine: true };
  const before = await failure(
    completions.create({ messages: STORY, signal: AbortSignal.abort(reason) }),
  );
  const whole = new AbortController();
  const waiting = failure(completions.create({ messages: STORY, signal: whole.signal }));
  setTimeout(() => whole.abort(reason), 30);
  const during = await waiting;

  const abort = new AbortController();
  const stream = await completions.create({
    messages: STORY,
    stream: true,
    signal: abort.signal,
  });
  await stream.next();
  abort.abort();
  let end: unknown;
  try {
    for await (const chunk of stream) void chunk;
  } catch (error) {
    end = error;
  }
  const left = await completions.create({ messages: STORY, stream: true });
  for await (const chunk of left) {
    void chunk;
    break;
  }
  return {
    before: before === reason,
    during: during === reason,
    end: end === abort.signal.reason,
    left: await left.next(),
    idle: await idle(),
  };
}

/** What goes wrong goes wrong alike. */
export async function errors(): Promise<readonly Json[]> {
  const { completions } = engine.chat;
  const bad = (params: object) => completions.create({ messages: MESSAGES, ...params });
  const broken: ModelSource = {
    name: 'mine',
    open: async (path) => {
      if (path !== 'config.json') return undefined;
      throw new RangeError('the disk is gone');
    },
  };
  const { worker } = current;
  const failing = (from: Parameters<typeof Engine.load>[0], options: LoadOptions = {}) =>
    Engine.load(from, { ...(worker !== undefined && { worker }), ...options });
  return Promise.all(
    [
      bad({ top_p: 2 }),
      bad({ messages: [] }),
      bad({ messages: 'hi' }),
      bad({ signal: 'now' }),
      bad({ logit_bias: { 1e9: 1 } }),
      engine.completions.create({ prompt: [1e9] }),
      engine.completions.create({ prompt: '', max_tokens: -1, stream: true }),
      engine.completions.create({ prompt: Array.from({ length: 5000 }, () => 7) }),
      engine.detokenize([-1]),
      failing('nonsense'),
      failing(broken),
      failing('http://127.0.0.1:9/', { http: { retryDelayMs: 1 } }),
      failing([]),
      failing(MODEL, { signal: AbortSignal.abort(new TypeError('mine')) }),
    ].map(async (work) => describe(await failure<unknown>(work))),
  );
}

/** Sources that live in the page: a custom one, and picked files. */
export async function sources(): Promise<Json> {
  const files = new Map<string, Blob>();
  for (const name of FILES) files.set(name, await (await fetch(`${MODEL}/${name}`)).blob());
  let reads = 0;
  const source: ModelSource = {
    name: 'in memory',
    async open(path) {
      const blob = files.get(path);
      if (blob === undefined) return undefined;
      return {
        name: path,
        size: blob.size,
        async read(begin, end) {
          reads += 1;
          return new Uint8Array(await blob.slice(begin, end).arrayBuffer());
        },
      };
    },
  };
  const picked = [...files].map(([name, blob]) =>
    Object.defineProperty(new File([blob], name), 'webkitRelativePath', { value: `tiny/${name}` }),
  );
  const { worker } = current;
  const said: Record<string, unknown> = {};
  for (const [kind, from] of Object.entries({ source, picked })) {
    const own = await Engine.load(from, {
      contextLength: 64,
      ...(worker !== undefined && { worker }),
    });
    const reply = await own.chat.completions.create({ messages: MESSAGES, max_tokens: 4, seed: 1 });
    const { name } = (await own.stats()).model;
    await own.dispose();
    said[kind] = [name, reply.choices[0]?.message.content];
  }
  return { ...said, isRead: reads > 3 };
}

/** Disposing in mid-stream, twice, and using the engine afterwards. */
export async function dispose(): Promise<Json> {
  const { completions } = engine.chat;
  const stream = await completions.create({ messages: STORY, stream: true });
  const whole = failure(completions.create({ messages: STORY }));
  await stream.next();
  const disposal = engine.dispose();
  let end: unknown;
  try {
    for await (const chunk of stream) void chunk;
  } catch (error) {
    end = error;
  }
  await Promise.all([disposal, engine.dispose()]);
  await engine[Symbol.asyncDispose]();
  return {
    end: describe(end),
    whole: describe(await whole),
    later: describe(await failure(engine.tokenize('x'))),
    create: describe(await failure(completions.create({ messages: MESSAGES }))),
    stats: describe(await failure(engine.stats())),
  };
}

const current: { worker: LoadOptions['worker'] } = { worker: undefined };

/** Which thread the functions above load further engines in. */
export function use(worker: boolean | 'shared'): boolean {
  current.worker = worker;
  return true;
}

let story: Promise<number> | undefined;

/** Starts a reply of so many tokens and leaves it running. */
export async function startStory(maxTokens: number): Promise<boolean> {
  const stream = await engine.chat.completions.create({
    messages: STORY,
    stream: true,
    ignore_eos: true,
    max_tokens: maxTokens,
  });
  await stream.next();
  story = (async () => {
    let tokens = 0;
    for await (const { usage } of stream) tokens = usage?.completion_tokens ?? tokens;
    return tokens;
  })();
  return true;
}

/** Tokens of the reply that `startStory` began. */
export async function endStory(): Promise<number> {
  return (await story) ?? 0;
}

/** What several pages see of one engine. */
export async function sharedStats(): Promise<Json> {
  const { requests, memory, totals } = await engine.stats();
  return { running: requests.running, memory, generated: totals.generatedTokens };
}

/** Waits until requests and cache pages of others are gone; fails after ten seconds. */
export async function idle(): Promise<Json> {
  for (let tries = 0; tries < 200; tries++) {
    const { requests, kvCache } = await engine.stats();
    if (requests.running + requests.waiting + kvCache.usedPages === 0) return { isIdle: true };
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
  return { isIdle: false };
}

/** A worker that dies in mid-stream, and one that may not start. */
export async function deaths(): Promise<Json> {
  const worker = new Worker('/src/worker/worker.ts', { type: 'module' });
  const own = await Engine.load(MODEL, { worker });
  const stream = await own.chat.completions.create({ messages: STORY, stream: true });
  await stream.next();
  worker.terminate();
  let end: unknown;
  try {
    for await (const chunk of stream) void chunk;
  } catch (error) {
    end = error;
  }
  const later = await failure(own.stats());
  await own.dispose();
  const policy = document.createElement('meta');
  policy.httpEquiv = 'Content-Security-Policy';
  policy.content = "worker-src 'none'";
  document.head.append(policy);
  return {
    end: describe(end),
    later: describe(later),
    disposed: describe(await failure(own.stats())),
    forbidden: await Promise.all(
      ([true, 'shared'] as const).map(async (worker) =>
        describe(await failure(Engine.load(MODEL, { worker }))),
      ),
    ),
  };
}

/** Loads and gives up at once. */
export async function abortLoad(worker: LoadOptions['worker']): Promise<Json> {
  const abort = new AbortController();
  const reason = new Error('no more');
  const loading = Engine.load(MODEL, {
    contextLength: 64, // another engine than the one that is loaded
    ...(worker !== undefined && { worker }),
    signal: abort.signal,
    onProgress: ({ phase }) => {
      if (phase === 'weights') abort.abort(reason);
    },
  });
  return { isReason: (await failure(loading)) === reason };
}

async function failure<T>(work: Promise<T>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  return 'no error';
}

function describe(error: unknown): Json {
  if (!(error instanceof Error)) return { thrown: error };
  const { name, message, stack, cause, ...fields } = error as Error & Json;
  return {
    name,
    message,
    fields,
    isQuern: Object.getPrototypeOf(Object.getPrototypeOf(error)) !== Error.prototype,
    type: error.constructor.name,
    cause: cause === undefined ? null : describe(cause),
    hasStack: typeof stack === 'string',
  };
}
