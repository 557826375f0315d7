import { describe, expect, it } from 'vitest';
import type { Ending } from '../../../demo/session.ts';
import {
  describeEnding,
  describeModel,
  describeProgress,
  describeLimits,
  formatBytes,
  formatCount,
  formatDuration,
} from '../../../demo/wording.ts';
import type { EngineStats, Usage } from '../../../src/index.ts';

const adapter = {
  vendor: 'acme',
  architecture: 'anvil-3',
  description: '',
  isSoftware: false,
  hasF16: true,
  hasSubgroups: true,
};

function statsOf(changes: Partial<EngineStats['adapter']>): EngineStats {
  return {
    model: {
      name: 'm',
      modelType: 'llama',
      parameters: 5_401_856,
      layers: 6,
      vocab: 4096,
      contextLength: 512,
      hasChatTemplate: true,
    },
    adapter: { ...adapter, ...changes },
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
    },
    pipelines: 0,
    thread: 'page',
    recoveries: 0,
    selfTest: { status: 'passed', checked: [], dropped: [], elapsedMs: 0 },
  };
}

function usageOf(tokens: number, decodeRate: number): Usage {
  return {
    prompt_tokens: 50,
    completion_tokens: tokens,
    total_tokens: 50 + tokens,
    prompt_tokens_details: { cached_tokens: 32 },
    timings: {
      time_to_first_token_ms: 84.6,
      prefill_tokens_per_second: 200,
      decode_tokens_per_second: decodeRate,
      total_ms: 1000,
    },
  };
}

const complete = (changes: object): Ending => ({
  kind: 'complete',
  usage: usageOf(42, 117.6),
  isCut: false,
  isShortened: false,
  ...changes,
});

describe('numbers', () => {
  it('have the unit that fits', () => {
    expect([0, 999, 1000, 161_082, 10_809_704, 4.7e9].map(formatBytes)).toEqual([
      '0 bytes',
      '999 bytes',
      '1.0 kB',
      '161.1 kB',
      '10.8 MB',
      '4.7 GB',
    ]);
    expect([968, 260_032, 5_401_856, 7e9].map(formatCount)).toEqual([
      '968',
      '260,032',
      '5.4 million',
      '7.0 billion',
    ]);
    expect([0.4, 84.6, 1449].map(formatDuration)).toEqual(['0 ms', '85 ms', '1.4 s']);
  });
});

describe('progress', () => {
  it('names file, bytes and percentage', () => {
    const progress = { phase: 'weights', file: 'https://a.example/m/model.safetensors' } as const;
    expect(describeProgress({ ...progress, loadedBytes: 5.2e6, totalBytes: 10.4e6 })).toBe(
      'Loading model.safetensors: 5.2 MB of 10.4 MB (50 %)',
    );
    expect(describeProgress({ ...progress, loadedBytes: 10.39e6, totalBytes: 10.4e6 })).toContain(
      '(99 %)',
    );
  });

  it('has no percentage of nothing', () => {
    const none = { loadedBytes: 0, totalBytes: 0 };
    expect(describeProgress({ phase: 'weights', ...none })).toContain('(100 %)');
    expect(describeProgress({ phase: 'compile', ...none })).toBe('Compiling shaders');
  });
});

describe('the model', () => {
  it('is named with its size and its device', () => {
    expect(describeModel('TinyChat', statsOf({}))).toBe(
      'TinyChat · 5.4 million parameters · context of 512 tokens · on acme anvil-3',
    );
    expect(describeModel('x', statsOf({ description: 'Acme Anvil 3' }))).toMatch(
      /on Acme Anvil 3$/,
    );
    expect(describeModel('x', statsOf({ vendor: '', architecture: '' }))).toMatch(/unnamed GPU$/);
  });

  it('is said to be slow on the CPU, and unfit without a chat template', () => {
    const stats = statsOf({});
    expect(describeLimits(stats)).toEqual([]);
    expect(describeLimits(statsOf({ isSoftware: true }))[0]).toContain('CPU (acme anvil-3)');
    const model = { ...stats.model, hasChatTemplate: false };
    expect(describeLimits({ ...stats, model })[0]).toContain('no chat template');
  });
});

describe('the line below a reply', () => {
  it('gives tokens, rates and cached tokens', () => {
    expect(describeEnding(complete({}))).toBe(
      '42 tokens · 118 tokens/s · first token after 85 ms · 32 of 50 prompt tokens cached',
    );
  });

  it('leaves out the rate of a single token', () => {
    expect(describeEnding(complete({ usage: usageOf(1, 0) }))).toMatch(/^1 token · first token/);
  });

  it('says what was cut', () => {
    expect(describeEnding(complete({ isCut: true }))).toMatch(
      /^cut off: as long as this model lets/,
    );
    expect(describeEnding(complete({ isShortened: true }))).toMatch(/oldest messages .* left out$/);
    expect(describeEnding({ kind: 'stopped' })).toBe('Stopped.');
    expect(describeEnding({ kind: 'failed' })).toContain('error');
  });
});
