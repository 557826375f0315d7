import { describe, expect, it } from 'vitest';
import { modelName, speculationValue } from '../../../src/cli/model.ts';

describe('the name of a model', () => {
  it.each([
    ['HuggingFaceTB/SmolLM2-135M-Instruct', 'HuggingFaceTB/SmolLM2-135M-Instruct'],
    ['owner/name@v1.0', 'owner/name@v1.0'],
    ['weights/tinychat', 'tinychat'],
    ['./weights/tinychat/', 'tinychat'],
    ['/somewhere/models/my model', 'my model'],
    ['https://example.org/models/small/', 'small'],
    ['https://example.org', 'https://example.org'],
    ['https://', 'https://'],
  ])('of %s is %s', async (model, name) => {
    expect(await modelName(model)).toBe(name);
  });
});

describe('--speculation', () => {
  it('is a way to guess, or the place of a draft model', async () => {
    expect(await speculationValue(undefined)).toEqual({});
    expect(await speculationValue('lookup')).toEqual({ speculation: 'lookup' });
    expect(await speculationValue('off')).toEqual({ speculation: 'off' });
    const { speculation } = await speculationValue('owner/name');
    expect(speculation).toMatchObject({ draft: { name: 'owner/name' } });
  });
});
