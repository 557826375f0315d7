import { describe, expect, it } from 'vitest';
import { explainLoadFailure, explainReplyFailure } from '../../../demo/problem.ts';
import * as errors from '../../../src/index.ts';

const HERE = { hasWebGpu: true, isSecureContext: true, isOnline: true, userAgent: '' };

describe('a model that does not load', () => {
  it('names browsers where WebGPU is missing', () => {
    const error = new errors.NoWebGpuError('none');
    const { advice } = explainLoadFailure(error, { ...HERE, hasWebGpu: false });
    for (const browser of ['Chrome', 'Edge', 'Safari', 'Firefox']) {
      expect(advice.join(' ')).toContain(browser);
    }
  });

  it('tells a missing adapter and an insecure page from a missing API', () => {
    const error = new errors.NoWebGpuError('none');
    expect(explainLoadFailure(error, HERE).advice.join(' ')).toContain('graphics driver');
    const insecure = explainLoadFailure(error, {
      ...HERE,
      hasWebGpu: false,
      isSecureContext: false,
    });
    expect(insecure.advice.join(' ')).toContain('https://');
  });

  it.each([
    ['Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0', 'about:config'],
    ['Mozilla/5.0 (Android 15; Mobile; rv:153.0) Gecko/153.0 Firefox/153.0', 'in Chrome'],
    [
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/112.0.0.0 Safari/537.36',
      'chrome://flags',
    ],
    [
      'Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/112.0 Safari/537.36 Edg/112.0',
      'Edge',
    ],
    ['Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 Version/18.0 Safari/605.1.15', 'Safari to 26'],
    [
      'Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 CriOS/130.0 Mobile/15E148 Safari/604.1',
      'version 26',
    ],
    ['Links (2.30)', 'one of these browsers'],
  ])('helps in %s', (userAgent, help) => {
    const error = new errors.NoWebGpuError('none');
    const { advice } = explainLoadFailure(error, { ...HERE, hasWebGpu: false, userAgent });
    expect(advice[1]).toContain(help);
  });

  it('tells being offline, being refused and a bad address apart', () => {
    const url = 'https://a.example/config.json';
    const failed = new errors.DownloadError(url, 'failed');
    const titleOf = (error: Error, isOnline = true): string =>
      explainLoadFailure(error, { ...HERE, isOnline }).title;
    expect(titleOf(failed, false)).toBe('You are offline');
    expect(titleOf(failed)).toMatch(/could not be read/);
    // Files on the disk need no network.
    expect(titleOf(new errors.DownloadError('config.json', 'gone'), false)).toMatch(/could not/);
    for (const status of [401, 403]) {
      expect(titleOf(new errors.DownloadError(url, 'no', { status }))).toMatch(/denies access/);
    }
  });

  it.each([
    [new errors.DownloadError('a/config.json', 'no answer'), /could not be read/, 'retry'],
    [new errors.ConfigError('"hidden_size" is missing'), /not a model/, 'bundled'],
    [
      new errors.WeightFileError('a.safetensors', 'truncated'),
      /weights .* cannot be used/,
      'bundled',
    ],
    [new errors.TokenizerError('tokenizer.json: missing'), /not a model/, 'bundled'],
    [new errors.DeviceLimitError('memory', 1, 2, 'no'), /too large/, 'bundled'],
    [new errors.OutOfMemoryError('no memory'), /too large/, 'bundled'],
    [new errors.DeviceLostError('lost'), /GPU was lost/, 'retry'],
    [new errors.WorkerError('died'), /worker.*died/, 'retry'],
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
    [new errors.RequestError('top_p is 3', { param: 'top_p' }), /setting is refused/, []],
    [new errors.WorkerError('died'), /worker.*died/, ['retry', 'choose', 'bundled']],
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
