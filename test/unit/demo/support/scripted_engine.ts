import { type Mock, vi } from 'vitest';
import type { ChatCompletionParams, EngineStats } from '../../../../src/index.ts';

/** What an engine says to one request. */
export interface Script {
  readonly pieces?: readonly string[];
  readonly tokens?: readonly [prompt: number, reply: number];
  readonly finish?: 'stop' | 'length';
  /** Thrown after the pieces. */
  readonly error?: Error;
  /** Waits after the pieces until the request is aborted. */
  readonly hangs?: boolean;
}

/** An engine that says what the test tells it to, one script per request. */
export class ScriptedEngine {
  readonly requests: ChatCompletionParams[] = [];
  readonly scripts: Script[];
  readonly dispose: Mock<() => Promise<void>> = vi.fn(async () => {});
  readonly stats = async (): Promise<EngineStats> => STATS;
  readonly chat = {
    completions: {
      create: async (params: ChatCompletionParams): Promise<AsyncIterable<unknown>> => {
        this.requests.push(params);
        return play(this.scripts.shift() ?? {}, params.signal);
      },
    },
  };

  constructor(...scripts: Script[]) {
    this.scripts = scripts;
  }
}

async function* play(script: Script, signal: AbortSignal | undefined): AsyncGenerator {
  const { pieces = [], tokens = [1, 1], finish = 'stop', error, hangs } = script;
  const model = STATS.model.name;
  for (const content of pieces) {
    yield { model, choices: [{ delta: { content }, finish_reason: null }] };
  }
  if (hangs === true) {
    await new Promise((_, reject) => {
      const end = (): void => reject(signal?.reason as Error);
      signal?.addEventListener('abort', end);
      if (signal?.aborted === true) end();
    });
  }
  if (error !== undefined) throw error;
  const [prompt_tokens, completion_tokens] = tokens;
  yield {
    model,
    choices: [{ delta: {}, finish_reason: finish }],
    usage: { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens },
  };
}

/** Figures of an engine at rest. */
export const STATS: EngineStats = {
  model: {
    name: 'm',
    modelType: 'llama',
    parameters: 5_401_856,
    weights: {
      form: 'stored',
      reason: 'as in the files: nothing is known of the memory',
      matrices: { f16: { count: 25, bytes: 10_800_000 } },
    },
    layers: 6,
    vocab: 4096,
    contextLength: 512,
    hasChatTemplate: true,
    defaults: { temperature: 0.7, top_p: 0.9, top_k: 50, min_p: 0, repetition_penalty: 1 },
  },
  adapter: {
    vendor: 'acme',
    architecture: 'anvil-3',
    description: '',
    isSoftware: false,
    hasF16: true,
    hasSubgroups: true,
  },
  memory: { weights: 0, kv: 0, scratch: 0, state: 0, readback: 0, total: 0 },
  kvCache: { pageSize: 16, pages: 64, usedPages: 0, cachedPages: 0 },
  requests: { running: 0, waiting: 0 },
  totals: {
    steps: 0,
    dispatches: 0,
    promptTokens: 0,
    cachedTokens: 0,
    generatedTokens: 0,
    preemptions: 0,
    draftedTokens: 0,
    acceptedTokens: 0,
    verifications: 0,
  },
  pipelines: 0,
  thread: 'worker',
  recoveries: 0,
  selfTest: { status: 'passed', checked: [], dropped: [], elapsedMs: 0 },
  tuning: { status: 'skipped', chosen: {}, elapsedMs: 0 },
};
