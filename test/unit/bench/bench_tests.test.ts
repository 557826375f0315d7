import { describe, expect, it } from 'vitest';
import { contextOf, fitTest, parseTest, testName } from '../../../src/bench/bench_tests.ts';
import { RequestError } from '../../../src/util/errors.ts';

describe('parseTest', () => {
  it.each([
    ['pp512', { kind: 'prefill', tokens: 512, depth: 0 }],
    ['pp3@d100', { kind: 'prefill', tokens: 3, depth: 100 }],
    ['tg128', { kind: 'decode', tokens: 128, depth: 0, streams: 1 }],
    ['tg128@d4096', { kind: 'decode', tokens: 128, depth: 4096, streams: 1 }],
    ['tg16@d7x4', { kind: 'decode', tokens: 16, depth: 7, streams: 4 }],
    ['enc128', { kind: 'encode', tokens: 128, texts: 1 }],
    ['enc128x8', { kind: 'encode', tokens: 128, texts: 8 }],
  ])('reads %s, and names it so', (name, test) => {
    expect(parseTest(name)).toEqual(test);
    expect(testName(parseTest(name))).toBe(name);
  });

  it.each([
    '',
    'pp',
    'pp0',
    'tg1',
    'tg-4',
    'pp4x2',
    'enc8@d4',
    'tg9x0',
    'tg1e3',
    'pp99999999999',
    ' pp4',
  ])('refuses %j', (name) => {
    expect(() => parseTest(name)).toThrow(RequestError);
    expect(() => parseTest(name)).toThrow(`test is ${JSON.stringify(name)}, expected a name`);
  });
});

describe('fitTest', () => {
  const fit = (name: string, contextLength: number, inputLength = 0): string =>
    testName(fitTest(parseTest(name), { contextLength, inputLength }));

  it('leaves what fits', () => {
    expect(fit('pp512', 513)).toBe('pp512');
    expect(fit('tg128@d4096', 4225)).toBe('tg128@d4096');
    expect(fit('enc128x8', 0, 128)).toBe('enc128x8');
  });

  it('cuts depth first, then the rest', () => {
    expect(fit('pp512', 512)).toBe('pp511');
    expect(fit('pp512@d100', 600)).toBe('pp512@d87');
    expect(fit('tg128@d4096', 512)).toBe('tg128@d383');
    expect(fit('tg128', 64)).toBe('tg32');
    expect(fit('enc512', 0, 128)).toBe('enc128');
  });

  it.each(['pp512', 'pp512@d40', 'tg128', 'tg128@d4096', 'tg2@d9'])(
    'makes %s fit in any context',
    (name) => {
      for (let contextLength = 4; contextLength < 700; contextLength += 7) {
        const fitted = fitTest(parseTest(name), { contextLength, inputLength: 0 });
        expect(contextOf(fitted)).toBeLessThanOrEqual(contextLength);
        expect(fitted.tokens).toBeGreaterThan(0);
      }
    },
  );
});
