import { describe, expect, it, vi } from 'vitest';
import { Encoder, Engine, Seq2Seq } from '../../../src/load.ts';
import { DownloadError, RequestError } from '../../../src/util/errors.ts';

describe('loading refuses', () => {
  it.each<[{ load(from: string, options: object): Promise<unknown> }, object, string, RegExp]>([
    [Engine, { contextLenght: 5 }, 'contextLenght', /^load: contextLenght is no option of Engine/],
    [Engine, { inputLength: 5 }, 'inputLength', /is no option of Engine\.load, expected one of: w/],
    [
      Encoder,
      { kvTokens: 5 },
      'kvTokens',
      /^load: kvTokens is no option of Encoder\.load, expected/,
    ],
    [Seq2Seq, { chatTemplate: '' }, 'chatTemplate', /is no option of Seq2Seq\.load/],
    [Engine, { toString: 5 }, 'toString', /^load: toString is no option/],
    [Engine, { gpu: {} }, 'gpu', /^load: gpu is an object, expected a GPU$/],
    [
      Encoder,
      { without: ['f16'] },
      'without',
      /^load: without is an array, expected a list of: sh/,
    ],
    [Engine, { powerPreference: 'fast' }, 'powerPreference', /"fast", expected one of: low-power,/],
    [
      Engine,
      { defaultLimits: 1 },
      'defaultLimits',
      /^load: defaultLimits is 1, expected true or f/,
    ],
    [Seq2Seq, { measureGpuTime: 'yes' }, 'measureGpuTime', /is "yes", expected true or false$/],
  ])('%o with %j', async (kind, options, param, message) => {
    const error: unknown = await kind
      .load('https://models.test/a', options)
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(RequestError);
    expect(error).toMatchObject({ param, message: expect.stringMatching(message) });
  });
});

it('says so where a script of the library is not to be had', async () => {
  vi.doMock('../../../src/engine/seq2seq.ts', () => {
    throw new TypeError('Failed to fetch');
  });
  const loading = Seq2Seq.load('https://models.test/a');
  await expect(loading).rejects.toThrow(DownloadError);
  await expect(loading).rejects.toThrow(/^quern: a script could not be loaded \(/);
});
