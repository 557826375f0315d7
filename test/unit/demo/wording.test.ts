import { describe, expect, it } from 'vitest';
import type { Reply } from '../../../demo/state/types.ts';
import {
  adapterName,
  describeKeeping,
  describeProgress,
  describeLimits,
  describeReply,
  formatBytes,
  formatCount,
  formatDuration,
  formatWait,
} from '../../../demo/wording.ts';
import type { EngineStats, Usage } from '../../../src/index.ts';
import { STATS } from './support/scripted_engine.ts';

function statsOf(changes: Partial<EngineStats['adapter']>): EngineStats {
  return { ...STATS, adapter: { ...STATS.adapter, ...changes } };
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

function reply(changes: Partial<Reply>): Reply {
  const common = { id: 'r', parentId: 'q', content: 'Hi', createdAt: 0, model: 'm' } as const;
  return { ...common, role: 'assistant', usage: usageOf(42, 117.6), ...changes };
}

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
    expect([0, 7.2, 60, 200, 5400].map(formatWait)).toEqual([
      '0 s',
      '8 s',
      '1 min',
      '4 min',
      '1.5 h',
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

  it('has the rate and the time left, once they are known', () => {
    const progress = { phase: 'weights', loadedBytes: 1e6, totalBytes: 4e6 } as const;
    expect(describeProgress({ ...progress, bytesPerSecond: 512_345.6, secondsLeft: 5.9 })).toMatch(
      / · 512\.3 kB\/s · 6 s left$/,
    );
  });

  it('has no percentage of nothing', () => {
    const none = { loadedBytes: 0, totalBytes: 0 };
    expect(describeProgress({ phase: 'weights', ...none })).toContain('(100 %)');
    expect(describeProgress({ phase: 'compile', ...none })).toBe('Compiling shaders');
  });
});

describe('the model', () => {
  it('runs on a device with a name', () => {
    expect(adapterName(statsOf({}).adapter)).toBe('acme anvil-3');
    expect(adapterName(statsOf({ description: 'Acme Anvil 3' }).adapter)).toBe('Acme Anvil 3');
    expect(adapterName(statsOf({ vendor: '', architecture: '' }).adapter)).toBe('an unnamed GPU');
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
    expect(describeReply(reply({ ending: 'complete' }))).toBe(
      '42 tokens · 118 tokens/s · first token after 85 ms · 32 of 50 prompt tokens cached',
    );
  });

  it('leaves out the rate of a single token', () => {
    const short = reply({ ending: 'complete', usage: usageOf(1, 0) });
    expect(describeReply(short)).toMatch(/^1 token · first token/);
  });

  it('says how it ended otherwise', () => {
    expect(describeReply(reply({ ending: 'cut' }))).toMatch(/^cut off: as long as/);
    const shortened = reply({ ending: 'complete', isShortened: true });
    expect(describeReply(shortened)).toMatch(/oldest messages .* left out$/);
    expect(describeReply(reply({ ending: 'stopped' }))).toBe('Stopped.');
    expect(describeReply(reply({ ending: 'failed' }))).toContain('error');
    expect(describeReply(reply({}))).toContain('Not finished');
  });
});

describe('where conversations are kept', () => {
  it('is said only where they are not', () => {
    expect(describeKeeping({ kind: 'opening' })).toBeUndefined();
    expect(describeKeeping({ kind: 'kept' })).toBeUndefined();
    const said = (['missing', 'full', 'outdated', 'blocked', 'broken'] as const).map((why) =>
      describeKeeping({ kind: 'memory', why }),
    );
    expect(new Set(said).size).toBe(5);
    expect(said[0]).toContain('private windows');
  });
});
