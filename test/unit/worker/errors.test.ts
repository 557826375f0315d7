import { describe, expect, it } from 'vitest';
import * as errors from '../../../src/util/errors.ts';
import { decodeError, encodeError } from '../../../src/worker/errors.ts';

/** One of every class that Quern throws. */
const SAMPLES: readonly errors.QuernError[] = [
  new errors.NoWebGpuError('no gpu'),
  new errors.DeviceLimitError('maxBufferSize', 1, 2, 'buy more'),
  new errors.OutOfMemoryError('full'),
  new errors.DeviceLostError('gone', { reason: 'unplugged' }),
  new errors.GpuValidationError('bad'),
  new errors.ConfigError('config.json: bad', { key: 'vocab_size', cause: new SyntaxError('x') }),
  new errors.WeightFileError('model.safetensors', 'short', { tensor: 'lm_head.weight' }),
  new errors.TokenizerError('bad'),
  new errors.ShapeError('bad'),
  new errors.ShaderError('bad'),
  new errors.RequestError('top_p is 2', { param: 'top_p' }),
  new errors.DownloadError('https://a/b', 'denied', { status: 403, cause: new Error('why') }),
  new errors.WorkerError('died'),
  new errors.DisposedError('over'),
];

function across(error: unknown): unknown {
  return decodeError(structuredClone(encodeError(error)));
}

describe('errors across a port', () => {
  it('has a sample of every class', () => {
    const classes = Object.values(errors).filter((type) => type !== errors.QuernError);
    expect(new Set(SAMPLES.map(({ constructor }) => constructor))).toEqual(new Set(classes));
  });

  it.each(SAMPLES.map((error) => [error.name, error] as const))('%s', (_, error) => {
    const arrived = across(error);
    expect(arrived).toBeInstanceOf(error.constructor);
    expect(arrived).toBeInstanceOf(errors.QuernError);
    expect(arrived).toEqual(error);
    expect(Object.entries(arrived as object)).toStrictEqual(Object.entries(error));
    expect(arrived).toMatchObject({ message: error.message, stack: error.stack });
    expect((arrived as Error).cause).toEqual(error.cause);
    expect('cause' in (arrived as Error)).toBe('cause' in error);
  });

  it('keeps the errors of the platform and of the language', () => {
    const abort = across(new DOMException('stop', 'AbortError'));
    expect(abort).toBeInstanceOf(DOMException);
    expect(abort).toMatchObject({ name: 'AbortError', message: 'stop' });
    expect(across(new RangeError('far'))).toBeInstanceOf(RangeError);
    expect(across(Object.assign(new Error('x'), { name: 'MyError', code: 7 }))).toMatchObject({
      name: 'MyError',
      message: 'x',
      code: 7,
    });
  });

  it('carries anything that can be thrown', () => {
    expect(across(undefined)).toBe(undefined);
    expect(across('text')).toBe('text');
    expect(across({ secret: () => 1 })).toBe('an object');
    expect(across(Symbol('s'))).toBe('a symbol');
    const ring = new Error('ring');
    ring.cause = ring;
    expect(across(ring)).toMatchObject({ message: 'ring', cause: { message: 'ring' } });
    // A name that happens to be that of a thing which is no error.
    expect(across(Object.assign(new Error('x'), { name: 'QuernError' }))).toBeInstanceOf(Error);
  });
});
