import { describe, expect, it } from 'vitest';
import { DEFAULT_PLAN, parsePlan, planParams, testsOfKind } from '../../../src/bench/plan.ts';
import { RequestError } from '../../../src/util/errors.ts';

function parse(address: string): ReturnType<typeof parsePlan> {
  return parsePlan(new URLSearchParams(address));
}

describe('parsePlan', () => {
  it('reads an address, and writes it again', () => {
    const address =
      'model=smollm2-135m&weights=q4,f16&model=tinychat&weights=auto&tests=pp64,tg32@d128x4&repetitions=3&profile=&kv=q8';
    const plan = parse(`?${address}&run`);
    expect(plan).toEqual({
      targets: [
        { model: 'smollm2-135m', weights: 'q4' },
        { model: 'smollm2-135m', weights: 'f16' },
        { model: 'tinychat', weights: 'auto' },
      ],
      tests: ['pp64', 'tg32@d128x4'],
      repetitions: 3,
      profiles: true,
      kv: 'q8',
    });
    expect(decodeURIComponent(String(planParams(plan)))).toBe(address);
    expect(parsePlan(planParams(plan))).toEqual(plan);
  });

  it('has defaults', () => {
    expect(parse('')).toEqual(DEFAULT_PLAN);
    expect(parse('model=owner/name').targets).toEqual([{ model: 'owner/name', weights: 'auto' }]);
  });

  it('gives forms to the model before them, or to all', () => {
    const targets = parse('weights=q8&model=tiny&model=minilm&weights=f32').targets;
    expect(targets).toEqual([
      { model: 'tiny', weights: 'q8' },
      { model: 'minilm', weights: 'f32' },
    ]);
  });

  it.each([
    ['model=gpt-9', 'bench: model is "gpt-9", expected a repository'],
    ['model=constructor', 'bench: model is "constructor"'],
    ['model=tiny&weights=q5', 'bench: weights is "q5", expected one of: auto, f32'],
    ['tests=', 'bench: test is ""'],
    ['tests=pp64,fast', 'bench: test is "fast"'],
    ['repetitions=0', 'bench: repetitions is "0", expected an integer from 1 to 1000'],
    ['repetitions=1e9', 'bench: repetitions is "1e9"'],
    ['kv=q4', 'bench: kv is "q4", expected one of: f32, f16, q8'],
  ])('refuses %s', (address, message) => {
    expect(() => parse(address)).toThrow(RequestError);
    expect(() => parse(address)).toThrow(message);
  });
});

it('runs the tests of each kind of model', () => {
  const tests = ['pp64', 'tg8', 'enc16'];
  expect(testsOfKind('decoder', tests)).toEqual(['pp64', 'tg8']);
  expect(testsOfKind('encoder', tests)).toEqual(['enc16']);
  expect(testsOfKind('seq2seq', tests)).toEqual(['tg8', 'enc16']);
  expect(testsOfKind('encoder', undefined)).toContain('enc128x8');
  // None: the error of the measurement names them.
  expect(testsOfKind('encoder', ['tg8'])).toEqual(['tg8']);
});
