import { describe, expect, it } from 'vitest';
import { resolveLimits, type EngineLimits } from '../../../src/engine/limits.ts';
import type { DeviceFacts } from '../../../src/gpu/facts.ts';
import type { Decoder } from '../../../src/models/family.ts';
import { DeviceLimitError, RequestError } from '../../../src/util/errors.ts';
import { PLAIN_FACTS } from '../../support/device_facts.ts';

/** Small bindings, so that a KV cache can be too large for them. */
const FACTS: DeviceFacts = {
  ...PLAIN_FACTS,
  limits: { ...PLAIN_FACTS.limits, maxStorageBufferBindingSize: 2 ** 20 },
};

function decoder(maxPositions: number): Decoder {
  return {
    kv: { layers: 2, heads: 4, kvHeads: 2, headDim: 16, window: undefined },
    ropes: [{ theta: 10000, rotaryDim: 16, scaling: { type: 'default' } }],
    vocab: 96,
    maxPositions,
    forward: () => expect.fail('nothing runs here'),
  };
}

const resolve = (limits: EngineLimits, maxPositions = 2048, facts: DeviceFacts = FACTS) =>
  resolveLimits(limits, decoder(maxPositions), facts);

describe('resolveLimits', () => {
  it('takes what the model was made for, up to 4096 tokens, and room for two contexts', () => {
    expect(resolve({})).toMatchObject({
      contextLength: 2048,
      pages: 256,
      pageSize: 16,
      kvDtype: 'f16',
    });
    expect(resolve({}, 131072).contextLength).toBe(4096);
    expect(resolve({ contextLength: 8192 }, 131072).contextLength).toBe(8192);
    expect(resolve({ contextLength: 100 }).pages).toBe(2 * Math.ceil(100 / 16));
  });

  it('has room for four beams and two inputs of an encoder-decoder, each in pages of its own', () => {
    const encoder = decoder(33);
    expect(resolveLimits({}, decoder(33), FACTS, encoder).pages).toBe(4 * 3 + 2 * 3);
    expect(resolveLimits({ pageSize: 1024 }, decoder(33), FACTS, encoder).pages).toBe(6);
  });

  it('keeps what is given, in whole pages', () => {
    const limits = { maxSequences: 3, tokenBudget: 20, maxInFlight: 1, kvDtype: 'f32' } as const;
    expect(resolve({ ...limits, kvTokens: 100, pageSize: 8 })).toMatchObject({
      ...limits,
      pages: 13,
      pageSize: 8,
    });
  });

  it('budgets at least one token for every sequence', () => {
    expect(resolve({ maxSequences: 300 }).tokenBudget).toBe(300);
    expect(resolve({ maxSequences: 8, tokenBudget: 2 }).tokenBudget).toBe(8);
  });

  it('asks for no more cache than one binding of keys can hold, unless told to', () => {
    // A token's keys take 2 heads of 16 f16: 64 bytes. A binding holds 16384 tokens.
    expect(resolve({}, 4096).pages).toBe(512);
    expect(resolve({ contextLength: 10000 }, 10000).pages).toBe(1024);
    expect(resolve({ kvTokens: 16384 }).pages).toBe(1024);
    const error = (() => {
      try {
        return resolve({ kvTokens: 16385 });
      } catch (error) {
        return error;
      }
    })();
    expect(error).toBeInstanceOf(DeviceLimitError);
    expect(error).toMatchObject({
      limit: 'maxStorageBufferBindingSize',
      available: 2 ** 20,
      needed: 2 ** 20 + 1024,
      message: expect.stringMatching(/a KV cache of 16385 tokens.*choose kvTokens ≤ 16384/),
    });
    const limits = { ...FACTS.limits, maxStorageBufferBindingSize: 1000 };
    expect(() => resolve({}, 2048, { ...FACTS, limits })).toThrow(DeviceLimitError);
  });

  it.each([
    'contextLength',
    'kvTokens',
    'pageSize',
    'maxSequences',
    'tokenBudget',
    'maxInFlight',
  ] as const)('refuses %s that is no count', (name) => {
    for (const value of [0, -1, 1.5, 2 ** 41, Number.NaN, Infinity, '8', null]) {
      const limits = { [name]: value } as unknown as EngineLimits;
      expect(() => resolve(limits)).toThrow(RequestError);
      expect(() => resolve(limits)).toThrow(
        new RegExp(`^load: ${name} is .*, expected an integer from 1 to `),
      );
    }
  });

  it('refuses a context longer than the model was made for, and unknown cache types', () => {
    expect(() => resolve({ contextLength: 2049 })).toThrow(/contextLength is 2049.*at most.*2048/);
    const limits = { kvDtype: 'int3' } as unknown as EngineLimits;
    expect(() => resolve(limits)).toThrow(/kvDtype is "int3", expected one of: f32, f16, q8/);
  });
});
