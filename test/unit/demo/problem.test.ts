import { describe, expect, it } from 'vitest';
import { explainLoadFailure, explainReplyFailure } from '../../../demo/problem.ts';
import * as errors from '../../../src/index.ts';

const HERE = { hasWebGpu: true, isSecureContext: true };

describe('a model that does not load', () => {
  it('names browsers where WebGPU is missing', () => {
    const error = new errors.NoWebGpuError('none');
    const { advice } = explainLoadFailure(error, { hasWebGpu: false, isSecureContext: true });
    for (const browser of ['Chrome', 'Edge', 'Safari', 'Firefox']) {
      expect(advice.join(' ')).toContain(browser);
    }
  });

  it('tells a missing adapter and an insecure page from a missing API', () => {
    const error = new errors.NoWebGpuError('none');
    expect(explainLoadFailure(error, HERE).advice.join(' ')).toContain('graphics driver');
    const insecure = explainLoadFailure(error, { hasWebGpu: false, isSecureContext: false });
    expect(insecure.advice.join(' ')).toContain('https://');
  });

  it.each([
    [new errors.DownloadError('a/config.json', 'no answer'), /could not be read/, 'retry'],
    [new errors.ConfigError('"hidden_size" is missing'), /not a model/, 'bundled'],
    [new errors.WeightFileError('a.safetensors', 'truncated'), /not a model/, 'bundled'],
    [new errors.TokenizerError('tokenizer.json: missing'), /not a model/, 'bundled'],
    [new errors.DeviceLimitError('memory', 1, 2, 'no'), /too large/, 'bundled'],
    [new errors.OutOfMemoryError('no memory'), /too large/, 'bundled'],
    [new errors.DeviceLostError('lost'), /GPU was lost/, 'retry'],
    [new errors.GpuValidationError('bad'), /should not/, 'retry'],
    [new TypeError('bad'), /should not/, 'retry'],
  ])('%s', (error, title, action) => {
    const problem = explainLoadFailure(error, HERE);
    expect(problem.title).toMatch(title);
    expect(problem.actions).toContain(action);
    expect(problem.detail).toContain(error.message);
  });
});

describe('a reply that fails', () => {
  it.each([
    [new errors.DeviceLostError('lost'), /GPU was lost/, ['retry']],
    [new errors.OutOfMemoryError('no memory'), /ran out of memory/, ['retry']],
    [new errors.RequestError('600 tokens', { param: 'prompt' }), /message is too long/, []],
    [new errors.RequestError('no', { param: 'messages' }), /refused/, ['new-chat']],
    [new errors.TokenizerError('none'), /no usable chat template/, ['new-chat', 'bundled']],
    [new Error('what'), /should not/, ['retry', 'new-chat']],
  ])('%s', (error, title, actions) => {
    const problem = explainReplyFailure(error);
    expect(problem.title).toMatch(title);
    expect(problem.actions).toEqual(actions);
    expect(problem.detail).toContain(error.message);
  });

  it('may be no Error at all', () => {
    expect(explainReplyFailure('odd').detail).toBe('odd');
  });
});
